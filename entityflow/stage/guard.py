"""Retention never eats work: a stage takes no input while a group below it is close to losing records.

What the broker itself says about a topic's retention counts, not what topics.yaml says. By age: the group has not read
what is older than a quarter of `retention.ms`. By bytes: what it has not read of a partition is more than half of
`retention.bytes`. Brokers tell the size of a partition only through DescribeLogDirs, which confluent-kafka does not
have: the size is estimated, unread records x mean size of the newest ones (which lie in the broker's memory).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from entityflow.admin import Admin, Place
from entityflow.settings import Settings
from entityflow.stage.sampling import mean_bytes
from entityflow.topics import Group, Topic, load_topics

SHARE_OF_AGE = 0.25
SHARE_OF_BYTES = 0.5
SAMPLE_SECONDS = 300.0

MeanBytes = Callable[[Settings, Place, int], float]


@dataclass(frozen=True, slots=True)
class Retention:
    """What the broker may delete by itself: older than `ms`, over `bytes` in a partition; none = never."""

    ms: int | None
    bytes: int | None


def retention_of(properties: Mapping[str, str]) -> Retention:
    """From a topic's properties on the broker."""
    if "delete" not in properties.get("cleanup.policy", "delete"):
        return Retention(None, None)
    ms, size = (int(properties.get(name, "-1")) for name in ("retention.ms", "retention.bytes"))
    return Retention(ms if ms >= 0 else None, size if size >= 0 else None)


def guarding(service: str) -> list[tuple[Topic, Group]]:
    """The groups that a service must not outrun, by `guards` in topics.yaml."""
    return [(topic, group) for topic in load_topics().values() for group in topic.groups if service in group.guards]


class RetentionGuard:
    """Says whether a group below is too far behind, and which one."""

    def __init__(
        self,
        service: str,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        sample: MeanBytes = mean_bytes,
    ) -> None:
        self._settings, self._clock, self._sample = settings, clock, sample
        self._watched = guarding(service)
        self._admin = Admin(settings)
        self._sizes: dict[str, tuple[float, float]] = {}  # topic -> (sampled at, mean bytes of a record)

    def behind(self) -> str | None:
        """`group on topic` of the first one that is too far behind, and how; none when input may go on."""
        if not self._watched:
            return None
        found = self._admin.properties(topic.name for topic, _ in self._watched)
        for topic, group in self._watched:
            if how := self._how_far(topic, group, retention_of(found[topic.name])):
                return f"{group.name} on {topic.name}: {how}"
        return None

    def _how_far(self, topic: Topic, group: Group, retention: Retention) -> str | None:
        limit = self._settings.guard_backlog_bytes
        if retention == Retention(None, None) and not limit:
            return None
        places = [(topic.name, partition) for partition in range(topic.count(self._settings.small_topics))]
        done = self._admin.committed(group.name, topic.name)
        ends, starts = self._admin.ends(places), self._admin.starts(places)
        unread = {place: ends[place] - max(done.get(place[1], 0), starts[place]) for place in places}
        if retention.ms is not None and (late := self._late(places, done, ends, retention.ms)) is not None:
            return f"partition {late} has unread records older than {SHARE_OF_AGE:.0%} of its retention"
        if not any(unread.values()) or (retention.bytes is None and not limit):
            return None
        return self._too_much(unread, retention.bytes, limit)

    def _late(
        self, places: list[Place], done: Mapping[int, int], ends: Mapping[Place, int], retention_ms: int
    ) -> int | None:
        due = self._admin.at(places, int(self._clock() * 1000 - SHARE_OF_AGE * retention_ms))
        late = (
            place[1]
            for place in places
            if done.get(place[1], 0) < (ends[place] if due[place] < 0 else due[place])  # -1: all are older
        )
        return next(late, None)

    def _too_much(self, unread: Mapping[Place, int], retention_bytes: int | None, limit: int) -> str | None:
        fullest = max(unread, key=lambda place: unread[place])
        mean = self._mean(fullest)
        if retention_bytes is not None and unread[fullest] * mean > SHARE_OF_BYTES * retention_bytes:
            return f"partition {fullest[1]} has about {unread[fullest] * mean:.0f} unread bytes of {retention_bytes}"
        total = sum(unread.values()) * mean
        if limit and total > limit:
            return f"about {total:.0f} unread bytes, guard_backlog_bytes is {limit}"
        return None

    def _mean(self, place: Place) -> float:
        at, mean = self._sizes.get(place[0], (float("-inf"), 0.0))
        if self._clock() - at >= SAMPLE_SECONDS:
            mean = self._sample(self._settings, place, self._admin.ends([place])[place])
            self._sizes[place[0]] = (self._clock(), mean)
        return mean
