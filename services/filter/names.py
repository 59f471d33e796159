"""The names of entities that the text rules would drop: they are captions all the same ("ox", "P-51")."""

from __future__ import annotations

from entityflow.records import Entity, Record
from entityflow.stage import Message
from services.filter.judging import Rules
from services.filter.text_rules import name_key


class Names:
    """From the `entity` topic. Only names that need the help are kept: a few in a hundred."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._by_entity: dict[str, frozenset[str]] = {}

    def of(self, entity_id: str | None) -> frozenset[str]:
        return self._by_entity.get(entity_id or "", frozenset())

    def apply(self, key: str, record: Record | None, _message: Message) -> None:
        """A record of `entity` came by."""
        if not isinstance(record, Entity) or record.retired:
            self._by_entity.pop(key, None)
            return
        names = (record.label, *(synonym.text for synonym in record.synonyms))
        odd = frozenset(name_key(name) for name in names if self._rules.text(name).reason is not None)
        if odd:
            self._by_entity[key] = odd
        else:
            self._by_entity.pop(key, None)
