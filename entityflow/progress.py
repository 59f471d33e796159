"""How far the line is: what each group has still to read, and whether everything has run through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from entityflow.admin import Admin, Place
from entityflow.settings import Settings
from entityflow.topics import load_topics

SHARDER = ("sharder", "filtered-pair")
BELOW_THE_SHARDER = frozenset({SHARDER, ("trainer", "shard")})

Reader = tuple[str, str]  # group, topic


def readers() -> list[Reader]:
    """Every group and a topic that it reads, in the order that data flows."""
    return [(group.name, topic.name) for topic in load_topics().values() for group in topic.groups]


def readers_above_the_sharder() -> list[Reader]:
    """The groups that must be at their ends before shards are sealed, the retry mover and coverage among them."""
    return [reader for reader in readers() if reader not in BELOW_THE_SHARDER]


@dataclass(frozen=True)
class Progress:
    """End offsets of every partition, and what each reader has left. Offsets were read after the commits."""

    ends: Mapping[Place, int]
    left: Mapping[Reader, int]

    def of(self, chosen: Iterable[Reader]) -> dict[Reader, int]:
        """What the chosen readers have left; those at their end are not in it."""
        return {reader: self.left[reader] for reader in chosen if self.left.get(reader)}


class Observer:
    """Looks at the broker. Commits are read before ends: a reader at its end had then acknowledged all it led to."""

    def __init__(self, settings: Settings) -> None:
        self._admin = Admin(settings)
        self._small = settings.small_topics

    def look(self) -> Progress:
        committed = {reader: self._admin.committed(*reader) for reader in readers()}
        ends = self._admin.ends(
            (topic.name, partition) for topic in load_topics().values() for partition in range(topic.count(self._small))
        )
        left = {
            (group, topic): sum(
                max(0, end - committed[group, topic].get(partition, 0))
                for (name, partition), end in ends.items()
                if name == topic
            )
            for group, topic in committed
        }
        return Progress(ends, left)


def describe(left: Mapping[Reader, int]) -> str:
    """`fetcher 120 of url, filter 8 of image`."""
    return ", ".join(f"{group} {count} of {topic}" for (group, topic), count in left.items())


class Pace:
    """How fast what is left becomes less, over the last minute."""

    def __init__(self, window_seconds: float = 60.0) -> None:
        self._window = window_seconds
        self._seen: list[tuple[float, int]] = []

    def add(self, at: float, left: int) -> None:
        self._seen = [(when, count) for when, count in self._seen if when >= at - self._window]
        self._seen.append((at, left))

    def seconds_left(self) -> float | None:
        """None while nothing becomes less."""
        (first, most), (last, now) = self._seen[0], self._seen[-1]
        if last <= first or most <= now:
            return None
        return now * (last - first) / (most - now)
