"""query_builder: entity, coverage -> query

Turns each entity into the first queries for it, and into more of them when coverage finds that searching pays. Runs on
Faust. Safe to replay: the queries of an entity and a round are a function of its record and the domain file, and the
same question always has the same id.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from entityflow.codec import decode, encode
from entityflow.domain import Domain, load_domain
from entityflow.errors import UsageError
from entityflow.faust_stage import FaustStage
from entityflow.records import Coverage, Entity, Record
from entityflow.settings import load_settings
from entityflow.stage import Message, Received, Send
from services.query_builder.queries import queries_of_round
from services.query_builder.settings import QueryBuilderSettings

SEARCH_MORE = "search-more"


class QueryBuilder:
    """Knows every entity of the `entity` topic, encoded, so that a later round can be asked for."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._entities: dict[str, bytes] = {}

    def know(self, key: str, record: Record | None, _message: Message) -> None:
        if isinstance(record, Entity) and not record.retired:
            self._entities[key] = encode(record)
        else:
            self._entities.pop(key, None)

    async def ask_first(self, received: Received[Entity]) -> Iterable[Send]:
        return self._sends(received.record, 0)

    async def ask_more(self, received: Received[Coverage]) -> Iterable[Send]:
        coverage = received.record
        encoded = self._entities.get(coverage.entity_id)
        if coverage.decision != SEARCH_MORE or encoded is None:
            return []
        entity = decode(encoded)
        return self._sends(entity, coverage.round + 1) if isinstance(entity, Entity) else []

    def _sends(self, entity: Entity, round_: int) -> list[Send]:
        return [Send("query", query) for query in queries_of_round(entity, self._domain, round_)]


def main() -> None:
    settings = load_settings(QueryBuilderSettings)
    if settings.domain is None:
        raise UsageError("no domain is set", hint="ENTITYFLOW_DOMAIN=domains/demo.yaml")
    builder = QueryBuilder(load_domain(settings.domain))
    stage = FaustStage("query_builder", settings)
    stage.table("entity", builder.know)
    stage.map("entity", builder.ask_first, concurrency=settings.query_builder_concurrency)
    stage.map("coverage", builder.ask_more, concurrency=settings.query_builder_concurrency)
    sys.exit(stage.run())


if __name__ == "__main__":
    main()
