"""A broker in memory for the shell: poll, produce, commit, one member a group. What it does, Kafka does too."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from entityflow.errors import UserError
from entityflow.kafka import Headers, OnAcknowledged, OnFatal
from entityflow.settings import Settings
from entityflow.stage.broker import Reading
from entityflow.stage.marks import read_mark
from entityflow.stage.messages import Message
from entityflow.topics import load_topics, partition_of

Stored = tuple[bytes | None, bytes | None, dict[str, bytes], int]  # key, value, headers, milliseconds


@dataclass
class MemoryBroker:
    """Its topics are those of topics.yaml, under the names that the settings give them."""

    settings: Settings
    partitions: int = 2
    logs: dict[str, list[list[Stored]]] = field(default_factory=dict)
    commits: dict[tuple[str, str], dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    notes: dict[tuple[str, str, int], str] = field(default_factory=dict)  # beside the offset of a group on a partition

    def __post_init__(self) -> None:
        for topic in load_topics().values():
            for name in (topic.name, topic.dlq):
                self.logs[self.settings.topic_name(name)] = [[] for _ in range(self.partitions)]

    def uuids(self, topics: Iterable[str]) -> dict[str, str]:
        return {topic: f"uuid-of-{topic}" for topic in topics if self.log(topic)}

    def recognise(self, _service: str, _uuids: Mapping[str, str]) -> None:
        """Its topics are never made anew."""

    def log(self, topic: str) -> list[list[Stored]]:
        name = self.settings.topic_name(topic)
        if name not in self.logs:
            raise UserError(f"topic {name} does not exist")
        return self.logs[name]

    def producer(self, _on_fatal: OnFatal) -> MemoryProducer:
        return MemoryProducer(self)

    def consumer(self, reading: Reading) -> MemoryConsumer:
        return MemoryConsumer(self, reading)

    def guard(self, _service: str) -> NeverBehind:
        return NeverBehind()


class NeverBehind:
    def behind(self) -> str | None:
        return None


class MemoryProducer:
    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._written: list[tuple[str, OnAcknowledged]] = []

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None,
        on_acknowledged: OnAcknowledged,
    ) -> None:
        log = self._broker.logs[topic]
        place = partition if partition is not None else partition_of(key or b"", len(log))
        log[place].append((key, value, dict(headers), int(time.time() * 1000)))
        self._written.append((topic, on_acknowledged))

    def poll(self) -> Mapping[str, int]:
        written, self._written = self._written, []
        for _, acknowledged in written:
            acknowledged()
        return Counter(topic for topic, _ in written)

    def under_way(self) -> int:
        return len(self._written)

    def close(self, _seconds: float) -> int:
        self.poll()
        return 0


class MemoryConsumer:
    def __init__(self, broker: MemoryBroker, reading: Reading) -> None:
        self._reading = reading
        self._log = broker.log(reading.topic)
        self._commits = broker.commits[reading.group, reading.topic]
        self._notes = broker.notes
        self._next: dict[int, int] = {}
        self._paused = False

    @property
    def assigned(self) -> set[int]:
        return set(self._next)

    async def join(self) -> None:
        partitions = list(range(len(self._log)))
        for partition in partitions:
            own = await self._reading.start(partition)
            begin = self._next[partition] = self._commits.get(partition, 0) if own is None else own
            before = read_mark(self._notes.get((self._reading.group, self._reading.topic, partition)))
            self._reading.suspects.open(partition, before, begin, begin < len(self._log[partition]))
        await self._reading.on_assigned(partitions)

    async def take(self, count: int, seconds: float) -> list[Message]:
        taken: list[Message] = []
        for partition, begin in self._next.items() if not self._paused else ():
            for offset in range(begin, min(len(self._log[partition]), begin + count - len(taken))):
                taken.append(self._message(partition, offset))
                self._next[partition] = offset + 1
        await asyncio.sleep(0 if taken else min(seconds, 0.005))
        return taken

    def _message(self, partition: int, offset: int) -> Message:
        key, value, headers, at = self._log[partition][offset]
        reading = self._reading
        return Message(reading.topic, partition, offset, key, value, headers, at, reading.topic_uuid)

    async def commit(self, offsets: Mapping[int, int]) -> None:
        self._commits.update(offsets)

    async def note(self, partition: int) -> None:
        note = self._reading.suspects.note(partition, self._commits.get(partition, 0), moved=False)
        self._notes[self._reading.group, self._reading.topic, partition] = note

    async def pause(self) -> None:
        self._paused = True

    async def resume(self) -> None:
        self._paused = False

    async def leave(self) -> None:
        partitions = list(self._next)
        self._commits.update(await self._reading.on_revoked(partitions, False))
        self._next.clear()
