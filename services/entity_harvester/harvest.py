"""One pass over a graph: a domain in, its entities out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from entityflow.domain import Domain
from entityflow.records import Entity, NaturalType, Parent
from services.entity_harvester import questions
from services.entity_harvester.answers import Term
from services.entity_harvester.hierarchy import Edges, depths, natural_type
from services.entity_harvester.labels import MUL, best_label, clean_name, other_labels, synonyms
from services.entity_harvester.members import by_popularity, count_members, popular_members, still_members
from services.entity_harvester.names import Names, read_attributes, read_names, read_namesakes
from services.entity_harvester.sparql import Sparql

MAX_PARENTS = 32
MAX_SYNONYMS = 32
MAX_IMAGES = 8


@dataclass(frozen=True)
class Harvest:
    """The entities by popularity, and the items that the graph has no word for."""

    members: int  # items in the whole closure
    entities: list[Entity]
    unnamed: dict[str, dict[str, int]]  # with their ancestors and depths


def harvest(domain: Domain, sparql: Sparql, limit: int | None, page_items: int, known: Sequence[str] = ()) -> Harvest:
    """The `limit` most popular entities and every `known` one that still belongs to the domain.

    Raises UserError where the endpoint does not answer well in the end: then there is no pass at all.
    """
    members = count_members(domain, sparql)
    fame = popular_members(domain, sparql, members if limit is None else min(limit, members), page_items)
    fame |= still_members(domain, sparql, [item for item in known if item not in fame])
    items = by_popularity(fame)
    structlog.get_logger().info("harvest_members", domain=domain.name, closure=members, taken=len(items))
    edges = read_edges(domain, sparql, items)
    above = {item: depths(item, edges, domain.limits.parent_depth) for item in items}
    ancestors = sorted({ancestor for found in above.values() for ancestor in found} - fame.keys())
    names = read_names(sparql, items, ancestors, domain.languages)
    if domain.queries.graph_attributes:
        read_attributes(names, sparql, items, domain.languages)
    words = choose_words(domain, names, [*items, *ancestors])
    ambiguous = read_namesakes(sparql, [(item, words[item]) for item in items if item in words])
    entities = [
        make_entity(domain, item, fame[item], names, above[item], words, item in ambiguous)
        for item in items
        if item in words
    ]
    return Harvest(members, entities, {item: above[item] for item in items if item not in words})


def read_edges(domain: Domain, sparql: Sparql, items: Sequence[str]) -> Edges:
    """All edges between the items and the roots, level by level."""
    edges, asked, level = Edges(), set(items), list(items)
    for _ in range(domain.limits.parent_depth):
        found = set()
        for row in sparql.each(level, lambda batch: questions.parents(domain, batch)):
            item, parent = questions.item_id(row["item"].value), questions.item_id(row["parent"].value)
            if item and parent:
                edges.add(item, parent, row["property"].value.endswith(f"/{domain.relations.instance_of}"))
                found.add(parent)
        level = sorted(found - asked)
        asked |= found
    return edges


def choose_words(domain: Domain, names: Names, items: Sequence[str]) -> dict[str, Term]:
    """The best label of every item that has one; a label in the domain file goes before the graph's."""
    given = {one.id: one.label for one in (*domain.roots, *domain.natural_types) if one.label}
    words = {}
    for item in items:
        word = best_label(item, names.labels[item], domain.languages)
        if item in given:
            word = Term(given[item], word.lang if word else "")
        if word is not None:
            words[item] = word
    return words


def make_entity(
    domain: Domain,
    item: str,
    sitelinks: int,
    names: Names,
    above: dict[str, int],
    words: dict[str, Term],
    ambiguous: bool,
) -> Entity:
    word = words[item]
    named = [*other_labels(item, names.labels[item], domain.languages, word.value), *names.others[item]]
    described = best_label(item, names.descriptions[item], domain.languages)
    kind = natural_type(item, above, [one.id for one in domain.natural_types], [one.id for one in domain.roots])
    parents = [Parent(id=one, label=words[one].value, depth=depth) for one, depth in above.items() if one in words]
    return Entity(
        id=item,
        label=word.value,
        lang=word.lang or MUL,
        description=clean_name(described.value) if described else None,
        synonyms=synonyms(word.value, named, MAX_SYNONYMS),
        natural_type=NaturalType(id=kind, label=words[kind].value) if kind and kind in words else None,
        ambiguous=ambiguous,
        parents=tuple(parents[:MAX_PARENTS]),
        attributes=tuple(names.attributes[item]),
        sitelinks=sitelinks,
        images=tuple(sorted(set(names.images[item]))[:MAX_IMAGES]),
        revision=names.revisions.get(item),
    )
