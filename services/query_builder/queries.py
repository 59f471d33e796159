"""How to ask for an entity: every query that it can have, in the order in which they are worth asking."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from entityflow.domain import Domain
from entityflow.ids import query_id
from entityflow.records import Entity, Query

NOUN, ATTRIBUTE_NOUN, ATTRIBUTE_TYPE, SKETCH = "noun", "attribute-noun", "attribute-type", "sketch"
LABEL = "label"  # kind of a synonym: what another wanted language calls the entity
MAX_HINTS = 16  # words that a hit may have; providers cut longer lists
UNSPOKEN = ("mul", "la")  # a name in no language in particular is asked for in the domain's first


@dataclass(frozen=True)
class Draft:
    """lang: none = that of the entity's label."""

    kind: str
    text: str
    attribute: str | None = None
    lang: str | None = None


def queries_of_round(entity: Entity, domain: Domain, round_: int) -> list[Query]:
    """The queries of one round: 0 the first `per_entity`, each later one as many more. A retired entity has none.

    How many rounds there are is for coverage to say. Ids depend on what is asked only, so that the same words are
    never a new query.
    """
    if entity.retired:
        return []
    share = domain.queries.per_entity
    drafts = list(drafts_of(entity, domain))[round_ * share : (round_ + 1) * share]
    return [_query(entity, domain, draft, round_) for draft in drafts]


def drafts_of(entity: Entity, domain: Domain) -> Iterator[Draft]:
    """All queries, best first, no text twice whatever its case."""
    seen = set()
    for draft in _all_drafts(entity, domain):
        key = (draft.kind == SKETCH, draft.text.casefold())
        if draft.kind in domain.queries.kinds and key not in seen:
            seen.add(key)
            yield draft


def _all_drafts(entity: Entity, domain: Domain) -> Iterator[Draft]:
    yield Draft(NOUN, noun(entity, domain))
    for synonym in entity.synonyms:
        if synonym.kind == LABEL:
            yield Draft(NOUN, synonym.text, lang=synonym.lang)
    attributes = attributes_of(entity, domain)
    for attribute in attributes:
        yield Draft(ATTRIBUTE_NOUN, f"{attribute} {entity.label}", attribute)
    others = [synonym for synonym in entity.synonyms if synonym.kind != LABEL]
    for synonym in others[: domain.queries.synonyms]:
        yield Draft(NOUN, synonym.text)
    if entity.natural_type:
        for attribute in attributes:
            yield Draft(ATTRIBUTE_TYPE, f"{attribute} {entity.natural_type.label}", attribute)
    yield Draft(SKETCH, noun(entity, domain))


def noun(entity: Entity, domain: Domain) -> str:
    """The label, with the natural type behind it where the label alone could mean something else."""
    kind, rule = entity.natural_type, domain.queries.natural_type
    wanted = rule == "always" or (rule == "ambiguous" and entity.ambiguous)
    if kind is None or not wanted or _says(entity.label, kind.label):
        return entity.label
    return f"{entity.label} {kind.label}"


def attributes_of(entity: Entity, domain: Domain) -> tuple[str, ...]:
    """The entity's own attributes first, then those of its natural type, or else of its domain."""
    rules = domain.queries
    if (entity.sitelinks or 0) < rules.attribute_min_sitelinks:
        return ()
    of_type = rules.type_attributes.get(entity.natural_type.id) if entity.natural_type else None
    return (*entity.attributes, *(rules.attributes if of_type is None else of_type))


def hints(entity: Entity, text: str) -> tuple[str, ...]:
    """Other names and the natural type: words that a good hit may have."""
    kind = (entity.natural_type.label,) if entity.natural_type else ()
    others = _distinct((*kind, entity.label, *(synonym.text for synonym in entity.synonyms)))
    return tuple(word for word in others if not _says(text, word))[:MAX_HINTS]


def _query(entity: Entity, domain: Domain, draft: Draft, round_: int) -> Query:
    lang = draft.lang or (domain.languages[0] if entity.lang in UNSPOKEN else entity.lang)
    kind = entity.natural_type
    about_type = draft.kind == ATTRIBUTE_TYPE and kind is not None
    # a picture of a "running mammal" shows a mammal, not the entity that made us ask
    subject = kind.id if about_type and kind else entity.id
    return Query(
        id=query_id(subject, draft.kind, draft.text, lang),
        entity_id=subject,
        text=draft.text,
        lang=lang,
        kind=draft.kind,
        natural_type=kind.label if kind else None,
        any_of=() if about_type else hints(entity, draft.text),
        none_of=() if draft.kind == SKETCH else _unwanted(domain, draft.text),
        attribute=draft.attribute,
        budget=domain.queries.budget,
        round=round_,
        providers=tuple(provider.name for provider in domain.providers),
    )


def _unwanted(domain: Domain, text: str) -> tuple[str, ...]:
    return tuple(word for word in domain.queries.none_of if not _says(text, word))


def _says(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", text.casefold()) is not None


def _distinct(words: Iterable[str]) -> list[str]:
    return list({word.casefold(): word for word in reversed(list(words))}.values())[::-1]
