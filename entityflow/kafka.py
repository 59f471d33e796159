"""Kafka clients as this project uses them: their properties, and a producer whose acknowledgements are awaited."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from entityflow.errors import UserError
from entityflow.settings import Settings
from entityflow.topics import DLQ_MAX_MESSAGE_BYTES

Headers = list[tuple[str, bytes]]
OnAcknowledged = Callable[[], None]
OnFatal = Callable[[Exception], None]

FATAL_CODES = {KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._FATAL}


def client_properties(settings: Settings, on_fatal: OnFatal | None = None) -> dict[str, Any]:
    """What every client gets. `on_fatal` hears of errors that no retry mends: wrong password, unknown CA."""

    def on_error(error: KafkaError) -> None:
        if error.fatal() or error.code() in FATAL_CODES:
            structlog.get_logger().error("kafka_client_failed", error=error.str(), broker=settings.kafka_bootstrap)
            if on_fatal is not None:
                on_fatal(
                    UserError(
                        f"Kafka at {settings.kafka_bootstrap}: {error.str()}", hint="check ENTITYFLOW_KAFKA_SECURITY"
                    )
                )

    return {
        "bootstrap.servers": settings.kafka_bootstrap,
        "client.id": f"entityflow-{os.getpid()}",
        "error_cb": on_error,
        "log_level": 2,
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2000,
        **settings.kafka_security,
    }


def consumer_properties(settings: Settings, group: str, strategy: str = "cooperative-sticky") -> dict[str, Any]:
    """Nothing is committed, stored or reset behind our back; prefetch is bounded in bytes."""
    static = {"group.instance.id": settings.group_instance_id} if settings.group_instance_id else {}
    return {
        "group.id": settings.group_name(group),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "partition.assignment.strategy": strategy,
        "session.timeout.ms": int(settings.session_timeout_seconds * 1000),
        "heartbeat.interval.ms": min(3000, int(settings.session_timeout_seconds * 300)),
        "max.poll.interval.ms": 600_000,
        "queued.max.messages.kbytes": settings.client_queue_bytes // 1024,
        "queued.min.messages": 1000,
        "fetch.queue.backoff.ms": 50,
        "fetch.wait.max.ms": 100,
        "fetch.max.bytes": 16 << 20,
        "max.partition.fetch.bytes": 4 << 20,
        **static,
    }


def reader_properties() -> dict[str, Any]:
    """For a consumer that is assigned its partitions and never commits."""
    return {**_unjoined(), "enable.partition.eof": True}


def _unjoined() -> dict[str, Any]:
    return {
        "group.id": "entityflow-reader",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 50,
        "queued.max.messages.kbytes": 16 << 10,
        "fetch.queue.backoff.ms": 20,
    }


def producer_properties(settings: Settings) -> dict[str, Any]:
    """Idempotent, acknowledged by all replicas, never giving up; the partitioner is Kafka's own."""
    return {
        "enable.idempotence": True,
        "acks": "all",
        "message.timeout.ms": 0,
        "partitioner": "murmur2_random",
        "message.max.bytes": DLQ_MAX_MESSAGE_BYTES,
        "queue.buffering.max.kbytes": settings.producer_queue_bytes // 1024,
        "queue.buffering.max.messages": 100_000,
        "linger.ms": 5,
        "batch.size": 1 << 20,
        "compression.type": "none",
    }


def reader(settings: Settings) -> Consumer:
    return Consumer({**client_properties(settings), **reader_properties()})


class GroupOffsets:
    """Asks what a group has committed, as a consumer of the group that never joins it.

    An AdminClient has no group: an OffsetFetch answered NOT_COORDINATOR, as in the first seconds of a broker, makes
    librdkafka (2.16 and before) use the group it does not have, and the process dies of it.
    """

    def __init__(self, settings: Settings, group: str) -> None:
        name = settings.group_name(group)
        self._consumer = Consumer({**client_properties(settings), **_unjoined(), "group.id": name})

    def committed(self, places: list[TopicPartition], seconds: float) -> list[TopicPartition]:
        """The places with their offsets, or with an error of their own; raises KafkaException."""
        return self._consumer.committed(places, timeout=seconds)


class AckedProducer:
    """An idempotent producer whose delivery reports are called by `poll`, in the caller's thread.

    A delivery that fails for good is told to `on_fatal`: the process must end, uncommitted.
    """

    def __init__(self, settings: Settings, on_fatal: OnFatal) -> None:
        self._on_fatal = on_fatal
        self._acknowledged: Counter[str] = Counter()
        self._producer = Producer({**client_properties(settings, on_fatal), **producer_properties(settings)})

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None,
        on_acknowledged: OnAcknowledged,
    ) -> None:
        """Hand over one message; `on_acknowledged` is called by a later `poll`. BufferError: the queue is full."""

        def delivered(error: KafkaError | None, _message: object) -> None:
            if error is None:
                self._acknowledged[topic] += 1
                on_acknowledged()
            else:  # the record stays unfinished
                self._on_fatal(UserError(f"Kafka refused a record for {topic}: {error.str()}"))

        place = -1 if partition is None else partition
        try:
            self._producer.produce(topic, value, key, place, delivered, headers=headers)  # type: ignore[arg-type]
        except KafkaException as exc:
            raise UserError(f"Kafka refused a record for {topic}: {exc.args[0].str()}") from exc

    def poll(self) -> Mapping[str, int]:
        """Call what was reported since the last call, without waiting; returns how many of each topic."""
        self._producer.poll(0)
        counts, self._acknowledged = self._acknowledged, Counter()
        return counts

    def under_way(self) -> int:
        """How many messages are not acknowledged, or not yet reported by `poll`."""
        return len(self._producer)

    def close(self, seconds: float) -> int:
        """Wait for what is under way; returns how many messages are still unacknowledged."""
        left: int = self._producer.flush(seconds)
        return left
