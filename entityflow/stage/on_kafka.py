"""The parts of the shell that stand on Kafka, as one broker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from entityflow.admin import require_topics
from entityflow.kafka import AckedProducer, OnFatal
from entityflow.settings import Settings
from entityflow.stage.broker import Consumer, Guard, Reading
from entityflow.stage.guard import RetentionGuard
from entityflow.stage.partitions import Partitions
from entityflow.stage.producing import Producer
from entityflow.stage.seen import recognise


class KafkaBroker:
    """The broker that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def uuids(self, topics: Iterable[str]) -> dict[str, str]:
        return require_topics(self._settings, topics)

    def recognise(self, service: str, uuids: Mapping[str, str]) -> None:
        recognise(service, self._settings, uuids)

    def producer(self, on_fatal: OnFatal) -> Producer:
        return AckedProducer(self._settings, on_fatal)

    def consumer(self, reading: Reading) -> Consumer:
        return Partitions(self._settings, reading)

    def guard(self, service: str) -> Guard:
        return RetentionGuard(service, self._settings)
