"""What has become of everything so far, as counts: read from the topics, each candidate once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from entityflow.admin import Admin
from entityflow.outcomes import Endings
from entityflow.records import Address, Entity, Model, Outcome, Query, Record, Shard, Url
from entityflow.settings import Settings
from entityflow.stage import read_topic
from entityflow.topics import load_topics

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Funnel:
    """Counts from entities to the model. `pending` are candidates that have not ended yet."""

    topics: Mapping[str, int]
    entities: int
    queries: int
    candidates: int
    images: int
    endings: Endings
    shards: tuple[Shard, ...] = ()
    models: tuple[Model, ...] = field(default=())

    @property
    def pending(self) -> int:
        return max(0, self.candidates - len(self.endings))

    @property
    def samples(self) -> int:
        return sum(shard.count for shard in self.shards)

    @property
    def heldout(self) -> int:
        return sum(shard.heldout_count for shard in self.shards)

    @property
    def model(self) -> Model | None:
        return self.models[-1] if self.models else None


def read_funnel(settings: Settings) -> Funnel:
    """Reads every topic whose records are small from its beginning. Raises UserError where one is missing."""
    return Funnel(
        topics=records_written(settings),
        entities=_living_entities(settings),
        queries=len({query.id for query in _records(settings, "query", Query)}),
        candidates=len({url.candidate_id for url in _records(settings, "url", Url)}),
        images=len({address.image_id for address in _records(settings, "address", Address)} - {None}),
        endings=Endings(_records(settings, "outcome", Outcome)),
        shards=tuple(newest_shards(_records(settings, "shard", Shard))),
        models=tuple(_records(settings, "model", Model)),
    )


def records_written(settings: Settings) -> dict[str, int]:
    """Records ever written, by topic, those included that were deleted since."""
    admin = Admin(settings)
    counts = dict.fromkeys(load_topics(), 0)
    there = admin.partitions(load_topics())
    for (topic, _), end in admin.ends((name, p) for name, count in there.items() for p in range(count)).items():
        counts[topic] += end
    return counts


def newest_shards(events: Iterator[Shard]) -> list[Shard]:
    """The highest version of each shard that has samples left, by shard_id."""
    newest: dict[str, Shard] = {}
    for shard in events:
        if shard.shard_id not in newest or newest[shard.shard_id].version <= shard.version:
            newest[shard.shard_id] = shard
    return [shard for _, shard in sorted(newest.items()) if shard.count or shard.heldout_count]


def _living_entities(settings: Settings) -> int:
    newest = {entity.id: entity for entity in _records(settings, "entity", Entity)}
    return sum(not entity.retired for entity in newest.values())


def _records(settings: Settings, topic: str, kind: type[R]) -> Iterator[R]:
    return (record for _, record in read_topic(settings, topic) if isinstance(record, kind))
