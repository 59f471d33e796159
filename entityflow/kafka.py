"""Kafka clients as this project uses them: their properties, and a producer whose acknowledgements are awaited."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from entityflow.errors import UserError
from entityflow.settings import Settings

Headers = Sequence[tuple[str, bytes]]
OnDelivery = Callable[[KafkaError | None], None]
OnFatal = Callable[[Exception], None]

FATAL_CODES = {KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._FATAL}
POLL_SECONDS = 0.05


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
        "message.max.bytes": 2 << 20,
        "queue.buffering.max.kbytes": settings.producer_queue_bytes // 1024,
        "queue.buffering.max.messages": 100_000,
        "linger.ms": 5,
        "batch.size": 1 << 20,
        "compression.type": "none",
    }


def reader(settings: Settings) -> Consumer:
    return Consumer({**client_properties(settings), **reader_properties()})


def group_reader(settings: Settings, group: str) -> Consumer:
    """For asking what a group has committed; it never joins."""
    return Consumer({**client_properties(settings), **_unjoined(), "group.id": settings.group_name(group)})


class AckedProducer:
    """An idempotent producer and the thread that serves its delivery reports.

    A delivery that fails for good is told to `on_fatal`: the process must end, uncommitted.
    """

    def __init__(self, settings: Settings, on_fatal: OnFatal) -> None:
        self._on_fatal = on_fatal
        self._producer = Producer({**client_properties(settings, on_fatal), **producer_properties(settings)})
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="producer", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(POLL_SECONDS)

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None,
        on_delivery: OnDelivery,
    ) -> None:
        """Hand over one message; `on_delivery` is called in the producer's thread. BufferError: the queue is full."""

        def delivered(error: KafkaError | None, _message: object) -> None:
            if error is not None:
                self._on_fatal(UserError(f"Kafka refused a record for {topic}: {error.str()}"))
            on_delivery(error)

        place: dict[str, Any] = {} if partition is None else {"partition": partition}
        try:
            self._producer.produce(topic, value, key, headers=list(headers), on_delivery=delivered, **place)
        except KafkaException as exc:
            raise UserError(f"Kafka refused a record for {topic}: {exc.args[0].str()}") from exc

    def close(self, seconds: float) -> int:
        """Wait for what is under way; returns how many messages are still unacknowledged."""
        left: int = self._producer.flush(seconds)
        self._stopping.set()
        self._thread.join()
        return left
