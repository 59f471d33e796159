"""What exists on the broker: `schemas/topics.yaml` as values, and the one place that creates it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import attrgetter
from typing import Any

from ruamel.yaml import YAML

from entityflow import records
from entityflow.guards import check_guard, check_no_cycle
from entityflow.ids import content_id
from entityflow.records import Record

RETRY_TOPICS = ("url-retry-short", "url-retry-medium", "url-retry-long")
DLQ_SUFFIX = "-dlq"
DLQ_RETENTION_DAYS = 30
DLQ_MAX_MESSAGE_BYTES = (2 << 20) + (64 << 10)  # the largest record of any topic, and the headers of a dead letter
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Group:
    """A consumer group of a topic. While it is behind, the stages of the services in `guards` take no input."""

    name: str
    line: str  # main | side
    guards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topic:
    name: str
    key: str
    records: tuple[str, ...]
    partitions: int
    small: int
    cleanup: str  # compact | delete
    retention_days: int | None
    retention_bytes: int | None  # of each partition
    max_message_bytes: int
    writers: tuple[str, ...]
    groups: tuple[Group, ...]
    dead_letters: int

    @property
    def dlq(self) -> str:
        return self.name + DLQ_SUFFIX

    def count(self, small: bool) -> int:
        return self.small if small else self.partitions

    def configuration(self, small: bool) -> dict[str, str]:
        """Topic properties. The embedded broker (`small`) keeps everything: what is finished is deleted by offset."""
        config = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.max_message_bytes)}
        if self.cleanup == "delete":
            forever = self.retention_days is None or small
            config["retention.ms"] = "-1" if forever else str((self.retention_days or 0) * DAY_MS)
            if self.retention_bytes is not None and not small:
                config["retention.bytes"] = str(self.retention_bytes)
        return config


@cache
def load_topics() -> Mapping[str, Topic]:
    """Every topic by name, in the order that data flows; dead-letter topics are derived, not listed."""
    document = YAML(typ="safe").load(files("schemas").joinpath("topics.yaml").read_text())
    return topics_of(document)


def topics_of(document: Mapping[str, Any]) -> dict[str, Topic]:
    """The topics of a document as topics.yaml is one. Raises ValueError where its guards cannot work."""
    topics = {name: _topic(name, entry) for name, entry in document["topics"].items()}
    for topic in topics.values():
        for group in topic.groups:
            check_guard(topic.name, topic.writers, group.name, group.line, group.guards)
    check_no_cycle(
        (guarded, group.name) for topic in topics.values() for group in topic.groups for guarded in group.guards
    )
    return topics


def _topic(name: str, entry: dict[str, Any]) -> Topic:
    return Topic(
        name=name,
        key=entry["key"],
        records=tuple(entry["records"]),
        partitions=entry["partitions"],
        small=entry["small"],
        cleanup=entry["cleanup"],
        retention_days=entry.get("retention_days"),
        retention_bytes=entry.get("retention_bytes"),
        max_message_bytes=entry["max_message_bytes"],
        writers=tuple(entry["writers"]),
        groups=tuple(
            Group(group, value["line"], tuple(value.get("guards", ()))) for group, value in entry["groups"].items()
        ),
        dead_letters=entry["dead_letters"],
    )


def dead_letter_topics() -> Iterator[tuple[str, int]]:
    """(name, partitions) of each dead-letter topic."""
    return ((topic.dlq, topic.dead_letters) for topic in load_topics().values() if topic.dead_letters)


def key_of(record: Record) -> str | None:
    """The key under which a record lies in its topic; none where only the writer knows it (host key, seal)."""
    key = _KEYS.get(type(record))
    return None if key is None else key(record)


def message_id(record: Record) -> str:
    """The id of what a message holds, for its `msg-id` header: the same again after a replay."""
    return _IDS[type(record)](record)


_KEYS: Mapping[type, Callable[[Any], str]] = {
    records.Entity: attrgetter("id"),
    records.Query: attrgetter("id"),
    records.Coverage: attrgetter("entity_id"),
    records.Outcome: lambda outcome: outcome.entity_id or outcome.candidate_id,
    records.Image: attrgetter("image_id"),
    records.Match: attrgetter("image_id"),
    records.FilteredPair: attrgetter("image_id"),
    records.Amend: attrgetter("image_id"),
    records.Shard: attrgetter("shard_id"),
    records.Model: attrgetter("version"),
    records.Host: attrgetter("host_key"),
    records.Address: attrgetter("url_id"),
    records.Tombstone: attrgetter("id"),
}

_IDS: Mapping[type, Callable[[Any], str]] = {
    **_KEYS,
    records.Url: attrgetter("candidate_id"),
    records.Fingerprint: attrgetter("image_id"),
    records.Amend: lambda amend: content_id(amend.kind, amend.image_id, amend.candidate_id or ""),
    records.Seal: lambda seal: f"seal-{seal.partition}-{seal.start}",
    records.Outcome: lambda outcome: content_id(outcome.candidate_id, outcome.stage, outcome.result),
    records.Shard: lambda shard: f"{shard.shard_id}.v{shard.version}",
    records.Coverage: lambda coverage: f"{coverage.entity_id}.{coverage.round}",
}


def partition_of(key: bytes, partitions: int) -> int:
    """Kafka's own partitioner: murmur2 of the key, sign bit cleared, modulo the count."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The 32-bit MurmurHash2 of org.apache.kafka.common.utils.Utils, as an unsigned number."""
    mask, m, length = 0xFFFFFFFF, 0x5BD1E995, len(data)
    h = (0x9747B28C ^ length) & mask
    for i in range(0, length - length % 4, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        h = h * m & mask ^ (k ^ k >> 24) * m & mask
    tail = data[length - length % 4 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
