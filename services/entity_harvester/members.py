"""Who belongs to a domain: the closure below its roots, the most popular first."""

from __future__ import annotations

from collections.abc import Sequence

from entityflow.domain import Domain
from services.entity_harvester import questions
from services.entity_harvester.answers import CutAnswer, Row
from services.entity_harvester.sparql import Sparql

Fame = dict[str, int]  # item -> sitelinks


def count_members(domain: Domain, sparql: Sparql) -> int:
    return sparql.count(questions.member_pattern(domain), "DISTINCT ?item")


def popular_members(domain: Domain, sparql: Sparql, wanted: int, page_items: int) -> Fame:
    """The `wanted` most popular ones, in order, read in pages; a page that is cut is asked for again in halves."""
    rows: list[Row] = []
    while len(rows) < wanted:
        asked = min(page_items, wanted - len(rows))
        try:
            rows += sparql.rows(questions.members(domain, asked, len(rows)), expected=asked)
        except CutAnswer:
            page_items = max(1, asked // 2)
    return _fame(rows)


def still_members(domain: Domain, sparql: Sparql, ids: Sequence[str]) -> Fame:
    """Those of the ids that belong to the domain now."""
    return _fame(list(sparql.each(ids, lambda batch: questions.still_members(domain, batch))))


def by_popularity(fame: Fame) -> list[str]:
    """Most sitelinks first; among equals the lower, older number."""
    return sorted(fame, key=lambda item: (-fame[item], len(item), item))


def _fame(rows: Sequence[Row]) -> Fame:
    return {item: int(row["sitelinks"].value) for row in rows if (item := questions.item_id(row["item"].value))}
