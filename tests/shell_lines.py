"""The same small questions to Kafka and to the broker in memory, for tests that hold on both."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from confluent_kafka import Producer

from entityflow.admin import Admin
from entityflow.settings import Settings
from entityflow.stage import Message, Shell, read_messages
from entityflow.stage.broker import Broker
from entityflow.stage.on_kafka import KafkaBroker
from tests.memory_broker import MemoryBroker

PATIENCE_SECONDS = 60.0


class Line(Protocol):
    settings: Settings
    broker: Broker

    def put(self, topic: str, key: bytes, value: bytes, partition: int, headers: Mapping[str, bytes]) -> None: ...

    def all(self, topic: str) -> list[Message]: ...

    def committed(self, group: str, topic: str) -> dict[int, int]: ...


@dataclass
class OnKafka:
    settings: Settings

    def __post_init__(self) -> None:
        self.broker = KafkaBroker(self.settings)
        self._producer = Producer({"bootstrap.servers": self.settings.kafka_bootstrap, "log_level": 0})

    def put(self, topic: str, key: bytes, value: bytes, partition: int, headers: Mapping[str, bytes]) -> None:
        self._producer.produce(
            self.settings.topic_name(topic), value, key, partition=partition, headers=list(headers.items())
        )
        assert self._producer.flush(30) == 0

    def all(self, topic: str) -> list[Message]:
        return list(read_messages(self.settings, topic))

    def committed(self, group: str, topic: str) -> dict[int, int]:
        return {p: offset for p, offset in Admin(self.settings).committed(group, topic).items() if offset}


@dataclass
class InMemory:
    settings: Settings
    broker: MemoryBroker = field(init=False)

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(self.settings)

    def put(self, topic: str, key: bytes, value: bytes, partition: int, headers: Mapping[str, bytes]) -> None:
        self.broker.log(topic)[partition].append((key, value, dict(headers), 0))

    def all(self, topic: str) -> list[Message]:
        return [
            Message(topic, partition, offset, key, value, headers, at, "")
            for partition, log in enumerate(self.broker.log(topic))
            for offset, (key, value, headers, at) in enumerate(log)
        ]

    def committed(self, group: str, topic: str) -> dict[int, int]:
        return {p: offset for p, offset in self.broker.commits[group, topic].items() if offset}


def run_until(shell: Shell, done: Callable[[], bool]) -> int:
    """Run the shell in this process until `done`; returns its exit code. Fails when that takes too long."""
    begun = time.monotonic()
    late = False

    async def look() -> None:
        nonlocal late
        late = time.monotonic() - begun > PATIENCE_SECONDS
        if late or done():
            shell.stop()

    shell.every(0.01, look)
    code = shell.run()
    assert not late, "it did not come to what was awaited"
    return code
