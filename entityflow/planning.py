"""What a domain will take before it starts: requests, money, bytes, hours, and what limits it. Pure arithmetic.

Every number that is assumed is listed with where it comes from; all of them can be given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from entityflow.chosen_providers import ChosenProvider
from entityflow.domain import Domain, Queries

HOUR = 3600.0
DAY_HOURS = 24.0
IMAGE_TOPIC_DAYS = 3  # schemas/topics.yaml: what the topic `image` keeps


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Each with its source; `entityflow plan --help` has an option for those that differ most."""

    next_round_share: float = field(default=0.7, metadata={"why": "of the entities want the next round of queries"})
    synonyms: float = field(default=1.3, metadata={"why": "synonyms an entity (216 k of 169 k names in EntityNet)"})
    accepted_share: float = field(
        default=0.6, metadata={"why": "of the candidates become pairs (EntityNet kept 76 of 100 to 150 a query)"}
    )
    fetched_share: float = field(default=0.85, metadata={"why": "of the candidates give a picture"})
    stored_bytes: float = field(default=35_000, metadata={"why": "bytes of a stored picture, short side 288"})
    fetches_per_second: float = field(default=150.0, metadata={"why": "pictures a second a fetcher (bench/fetch.py)"})
    fetchers: float = field(default=1.0, metadata={"why": "fetchers that run"})
    bandwidth_bytes: float = field(default=12.5e6, metadata={"why": "bytes a second of the line (100 Mbit/s)"})
    harvest_seconds_per_1000: float = field(
        default=30.0, metadata={"why": "seconds of query time for 1,000 entities (five batches of names and parents)"}
    )
    harvest_budget_share: float = field(
        default=0.5, metadata={"why": "of each minute that the query service may be asked (60 s a minute a client)"}
    )


@dataclass(frozen=True, slots=True)
class ProviderPlan:
    name: str
    queries: float
    requests: float
    candidates: float
    dollars: float
    search_hours: float
    media_host: str | None
    capped: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """hours: by what takes them; they overlap, so the longest is how long it all takes: `binding`."""

    entities: int
    queries: float
    providers: tuple[ProviderPlan, ...]
    downloaded_bytes: float
    pairs: float
    stored_bytes: float
    topic_bytes: float
    hours: Mapping[str, float]

    @property
    def requests(self) -> float:
        return sum(one.requests for one in self.providers)

    @property
    def candidates(self) -> float:
        return sum(one.candidates for one in self.providers)

    @property
    def dollars(self) -> float:
        return sum(one.dollars for one in self.providers)

    @property
    def binding(self) -> str:
        return max(self.hours, key=lambda what: self.hours[what])


def make_plan(domain: Domain, chosen: list[ChosenProvider], entities: int, assumed: Assumptions) -> Plan:
    by_round = queries_by_round(domain.queries, entities, assumed)
    providers = _providers(domain, chosen, by_round)
    tables = {one.name: one.table for one in chosen}
    candidates = sum(one.candidates for one in providers)
    downloads = {one.name: one.candidates * assumed.fetched_share for one in providers}
    downloaded = sum(count * tables[name].media.picture_bytes for name, count in downloads.items())
    stored = candidates * assumed.accepted_share * assumed.stored_bytes
    hours = {
        "the query service": entities / 1000 * assumed.harvest_seconds_per_1000 / assumed.harvest_budget_share / HOUR,
        **{f"searching {one.name}": one.search_hours for one in providers},
        **_host_hours(chosen, downloads),
        "fetching": sum(downloads.values()) / (assumed.fetches_per_second * assumed.fetchers) / HOUR,
        "the line": downloaded / assumed.bandwidth_bytes / HOUR,
    }
    rate = sum(downloads.values()) / max(max(hours.values()) * HOUR, 1.0)
    kept = min(sum(downloads.values()), rate * IMAGE_TOPIC_DAYS * 86_400) * assumed.stored_bytes
    return Plan(
        entities=entities,
        queries=sum(sum(kinds.values()) for kinds in by_round),
        providers=providers,
        downloaded_bytes=downloaded,
        pairs=candidates * assumed.accepted_share,
        stored_bytes=stored,
        topic_bytes=kept,
        hours=hours,
    )


def queries_by_round(queries: Queries, entities: int, assumed: Assumptions) -> list[dict[str, float]]:
    """Queries of each round by kind: each round asks for the next `per_entity` of what an entity has."""
    has = kinds_of_an_entity(queries, assumed)
    rounds, wanting, done = list[dict[str, float]](), float(entities), 0.0
    for _ in range(1 + queries.rounds):
        share = {kind: _between(has, kind, done, done + queries.per_entity) * wanting for kind in has}
        rounds.append(share)
        done += queries.per_entity
        wanting *= assumed.next_round_share
    return rounds


def kinds_of_an_entity(queries: Queries, assumed: Assumptions) -> dict[str, float]:
    """How many queries an entity has at most, by kind, in the order in which they are asked."""
    of_types = [len(words) for words in queries.type_attributes.values()]
    attributes = (
        sum((*of_types, len(queries.attributes))) / (len(of_types) + 1) if of_types else len(queries.attributes)
    )
    most = {
        "noun": 1 + min(queries.synonyms, assumed.synonyms),
        "attribute-noun": float(attributes),
        "sketch": 1.0,
    }
    return {kind: count for kind, count in most.items() if kind in queries.kinds}


def _between(has: Mapping[str, float], kind: str, start: float, end: float) -> float:
    """How many of the queries number `start` to `end` of an entity are of the kind."""
    before = 0.0
    for one, count in has.items():
        if one == kind:
            return max(0.0, min(end, before + count) - max(start, before))
        before += count
    return 0.0


def _providers(
    domain: Domain, chosen: list[ChosenProvider], by_round: list[dict[str, float]]
) -> tuple[ProviderPlan, ...]:
    """Each query goes from provider to provider until its budget is filled."""
    asked: dict[str, list[tuple[float, float]]] = {one.name: [] for one in chosen}  # (queries, candidates each)
    for number, kinds in enumerate(by_round):
        for kind, count in kinds.items():
            rest = float(domain.queries.budget)
            for one in chosen:
                if count and rest > 0 and one.table.asks(kind, number):
                    hits = min(rest, one.expected_hits)
                    asked[one.name].append((count, hits))
                    rest -= hits
    return tuple(_provider(one, asked[one.name]) for one in chosen)


def _provider(chosen: ChosenProvider, asked: list[tuple[float, float]]) -> ProviderPlan:
    table = chosen.table
    wanted = sum(count * max(1, math.ceil(hits / chosen.per_page)) for count, hits in asked)
    requests = wanted if chosen.max_requests is None else min(wanted, chosen.max_requests)
    share = requests / wanted if wanted else 0.0
    days = requests / chosen.quota.per_day if chosen.quota.per_day else 0.0
    months = requests / chosen.quota.per_month if chosen.quota.per_month else 0.0
    return ProviderPlan(
        name=table.name,
        queries=sum(count for count, _ in asked) * share,
        requests=requests,
        candidates=sum(count * hits for count, hits in asked) * share,
        dollars=requests * table.price_per_1000 / 1000,
        search_hours=max(requests * chosen.quota.seconds_between / HOUR, days * DAY_HOURS, months * 30 * DAY_HOURS),
        media_host=table.media.host,
        capped=requests < wanted,
    )


def _host_hours(chosen: list[ChosenProvider], downloads: Mapping[str, float]) -> dict[str, float]:
    """Providers whose pictures lie on the same host share what it takes."""
    hours: dict[str, float] = {}
    for one in chosen:
        media = one.table.media
        if media.host is not None:
            name = f"the host {media.host}"
            hours[name] = hours.get(name, 0.0) + media.seconds_for(downloads[one.name]) / HOUR
    return hours
