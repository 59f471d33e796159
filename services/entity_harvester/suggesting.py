"""Which popular classes a domain does not cover yet: the question that its makers otherwise ask by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from entityflow.domain import Domain
from services.entity_harvester import questions
from services.entity_harvester.init_command import read_labels
from services.entity_harvester.sparql import Sparql


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A class below no root, and how much it is written about; `members`: direct subclasses and instances of it."""

    id: str
    label: str | None
    sitelinks: int
    members: int


def suggest(domain: Domain, sparql: Sparql, below: Sequence[str], limit: int, min_sitelinks: int) -> list[Suggestion]:
    """The most popular classes outside roots, exclusions and what was considered; below `below` where it is given."""
    covered = dict.fromkeys(one.id for one in (*domain.roots, *domain.filters.exclude, *domain.considered))
    query = residual(domain, list(covered), below, limit, min_sitelinks)
    rows = [(item, row) for row in sparql.rows(query) if (item := questions.item_id(row["item"].value))]
    labels = read_labels(sparql, [item for item, _ in rows])
    return [
        Suggestion(item, labels.get(item), int(row["sitelinks"].value), int(row["members"].value)) for item, row in rows
    ]


def residual(domain: Domain, covered: Sequence[str], below: Sequence[str], limit: int, min_sitelinks: int) -> str:
    """Rows (item, sitelinks, members): classes with members, most popular first."""
    up = "|".join(f"wdt:{name}" for name in domain.relations.closure)
    down = f"{up}|wdt:{domain.relations.instance_of or 'P31'}"
    inside = f"?item ({up})+ ?top . VALUES ?top {{ {_items(below)} }}" if below else ""
    return (
        f"SELECT ?item (MAX(?links) AS ?sitelinks) (COUNT(DISTINCT ?member) AS ?members) WHERE {{"
        f" ?member {down} ?item . {inside}"
        f" ?item {questions.SITELINKS} ?links . FILTER(?links >= {min_sitelinks})"
        f" MINUS {{ ?item ({up})* ?known . VALUES ?known {{ {_items(covered)} }} }}"
        f" }} GROUP BY ?item ORDER BY DESC(?sitelinks) STR(?item) LIMIT {limit}"
    )


def _items(ids: Iterable[str]) -> str:
    return " ".join(f"wd:{item}" for item in ids)
