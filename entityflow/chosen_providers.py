"""The providers of a domain: what their tables say, with what the domain file says instead."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from entityflow.errors import UsageError
from entityflow.providers import ProviderTable, Quota, provider_names, provider_table, read_provider, refused_providers
from entityflow.yaml_positions import Loc

if TYPE_CHECKING:
    from entityflow.domain import Domain, Provider

DEMO = "demo"


@dataclass(frozen=True, slots=True)
class ChosenProvider:
    """max_requests: for ever, over all processes; none = no cap. quota: the table's, or what the domain says."""

    table: ProviderTable
    endpoint: str
    per_page: int
    max_pages: int
    quota: Quota
    max_requests: int | None
    answers_days: float | None

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def expected_hits(self) -> float:
        """Of one query, for plans: what the provider has and what may be paged to."""
        return min(self.table.expected_hits or self.per_page, float(self.per_page * self.max_pages))


def chosen_providers(domain: Domain) -> list[ChosenProvider]:
    """In the order in which they are asked. Raises UsageError for a table that cannot be read."""
    return [_chosen(rules) for rules in domain.providers]


def _chosen(rules: Provider) -> ChosenProvider:
    table = table_of(rules)
    paging, quota = table.paging, table.quota
    return ChosenProvider(
        table=table,
        endpoint=rules.endpoint or table.endpoint,
        per_page=min(rules.per_page or paging.per_page, paging.max_per_page),
        max_pages=min(rules.max_pages or paging.max_pages, paging.max_pages),
        quota=quota.model_copy(
            update={
                "per_minute": rules.requests_per_minute or quota.per_minute,
                "per_day": rules.requests_per_day or quota.per_day,
            }
        ),
        max_requests=_cap(rules, table),
        answers_days=rules.answers_days,
    )


def table_of(rules: Provider) -> ProviderTable:
    """Raises UsageError for a table of the user's that cannot be read, KeyError for a name that is not known."""
    if rules.table is None:
        return provider_table(rules.name)
    return read_provider(rules.table).model_copy(update={"name": rules.name})


def _cap(rules: Provider, table: ProviderTable) -> int | None:
    caps = [] if rules.max_requests is None else [rules.max_requests]
    if rules.max_dollars is not None and table.price_per_1000:
        caps.append(math.floor(rules.max_dollars * 1000 / table.price_per_1000 + 1e-9))
    return min(caps, default=None)


def provider_mistakes(domain: Domain) -> Iterator[tuple[Loc, str]]:
    """What is wrong with the providers of a domain, beyond what its schema says."""
    seen = set()
    for place, rules in enumerate(domain.providers):
        loc = ("providers", place, "name")
        if rules.name in seen:
            yield loc, f"{rules.name} is there twice"
        seen.add(rules.name)
        if rules.table is not None and not rules.table.is_file():
            yield ("providers", place, "table"), f"there is no file {rules.table}"
        elif rules.table is None and rules.name not in provider_names():
            yield loc, _unknown(rules.name)
        else:
            yield from _mistakes_of_table(rules, place)


def _mistakes_of_table(rules: Provider, place: int) -> Iterator[tuple[Loc, str]]:
    try:
        table = table_of(rules)
    except UsageError as exc:
        yield ("providers", place, "table"), str(exc).replace("\n", "; ")
        return
    if table.price_per_1000 and rules.max_dollars is None and rules.max_requests is None:
        yield (
            ("providers", place, "name"),
            f"{rules.name} costs ${table.price_per_1000:g} for 1,000 requests: max_dollars or max_requests is wanted",
        )
    if not (rules.endpoint or table.endpoint) and rules.name != DEMO:
        yield ("providers", place, "name"), f"{rules.name} has no address of its own: endpoint is wanted"


def _unknown(name: str) -> str:
    if name in refused_providers():
        return f"{name} is left out: {refused_providers()[name]}"
    near = get_close_matches(name, provider_names(), n=1)
    known = f"did you mean {near[0]}?" if near else f"known are {', '.join(provider_names())}"
    return f"{name!r} is no provider, {known}; a table of your own is named by table:"


def resolved(rules: Provider, folder: Path) -> Provider:
    """With its table's path from where the domain file lies."""
    return rules if rules.table is None else rules.model_copy(update={"table": folder / rules.table})
