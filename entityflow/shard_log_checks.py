"""Whether shards and broker say the same: ranges within the log, nothing committed that is in no shard, every event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from entityflow.admin import Admin, require_topics
from entityflow.objects import Objects
from entityflow.records import Shard
from entityflow.settings import Settings
from entityflow.shard_checks import Finding
from entityflow.shards import Manifest, list_manifests
from entityflow.stage import read_topic

PAIRS, SHARDS, GROUP = "filtered-pair", "shard", "sharder"
TELL_TIME = timedelta(minutes=1)  # a sharder tells of a manifest moments after it; a killed one when it comes back


@dataclass(frozen=True)
class LogState:
    """The topics at a moment; it is taken before manifests are listed, which are only ever added."""

    uuid: str
    starts: Mapping[int, int]
    ends: Mapping[int, int]
    committed: Mapping[int, int]
    events: Mapping[str, Shard]
    at: datetime


def look(settings: Settings) -> LogState:
    """Raises UserError where a topic is missing."""
    uuid = require_topics(settings, [PAIRS, SHARDS])[PAIRS]
    admin = Admin(settings)
    places = [(PAIRS, partition) for partition in range(admin.partitions([PAIRS])[PAIRS])]
    events: dict[str, Shard] = {}
    for _, record in read_topic(settings, SHARDS):
        if isinstance(record, Shard):  # the last counts, as compaction keeps it
            events[record.shard_id] = record
    return LogState(
        uuid=uuid,
        committed=admin.committed(GROUP, PAIRS),
        starts={partition: start for (_, partition), start in admin.starts(places).items()},
        ends={partition: end for (_, partition), end in admin.ends(places).items()},
        events=events,
        at=datetime.now(UTC),
    )


def check(objects: Objects, state: LogState) -> list[Finding]:
    """What does not fit together, by shard."""
    manifests = list(list_manifests(objects))
    written = {item.key: item.modified for item in objects.list("shards/") if item.key.endswith(".json")}
    return [*_ranges(manifests, state), *_events(manifests, state, written)]


def _ranges(manifests: Sequence[Manifest], state: LogState) -> Iterator[Finding]:
    done = dict.fromkeys(state.ends, 0)
    for manifest in manifests:
        found = manifest.input
        done[found.partition] = max(done.get(found.partition, 0), found.end + 1)
        if found.topic_uuid != state.uuid:
            yield Finding(manifest.shard_id, f"was cut from another topic {PAIRS} than the one that is there now")
        elif found.end >= state.ends.get(found.partition, 0):
            end = state.ends.get(found.partition, 0)
            yield Finding(manifest.shard_id, f"ends at offset {found.end}, partition {found.partition} at {end}")
    for partition, end in done.items():
        gone = max(state.committed.get(partition, 0), state.starts.get(partition, 0))
        if gone > end:
            what = f"offsets {end} to {gone - 1} of {PAIRS} are committed or deleted, and in no shard"
            yield Finding(f"p{partition:03d}", what)


def _events(manifests: Sequence[Manifest], state: LogState, written: Mapping[str, datetime]) -> Iterator[Finding]:
    known = {manifest.shard_id: manifest for manifest in manifests}
    for manifest in manifests:
        event, told = manifest.event(), state.events.get(manifest.shard_id)
        is_new = written[manifest.key] > state.at - TELL_TIME
        if event is None or is_new or told == event:
            continue
        if told is None or told.version < manifest.version:
            cure = "the sharder tells it" if manifest.version == 1 else "entityflow shards rewrite tells it"
            yield Finding(manifest.shard_id, f"version {manifest.version} is not told in {SHARDS}; {cure}")
        elif told.version == manifest.version:
            yield Finding(manifest.shard_id, f"the event in {SHARDS} says other things than the manifest")
    for told in state.events.values():
        manifest_there = known.get(told.shard_id)
        if manifest_there is None or manifest_there.version < told.version:
            yield Finding(told.shard_id, f"version {told.version} is told in {SHARDS}, and has no manifest")
