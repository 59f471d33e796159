"""Sending records: encoding, headers, size limit, and waiting for every acknowledgement."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import threading
from collections.abc import Iterable

from confluent_kafka import KafkaError

from entityflow import __version__
from entityflow.codec import encode
from entityflow.errors import Rejected
from entityflow.kafka import AckedProducer, Headers
from entityflow.metrics import PRODUCED
from entityflow.settings import Settings
from entityflow.stage.messages import Message, Send
from entityflow.topics import key_of, load_topics, message_id

FULL_QUEUE_SECONDS = 0.02
HEADROOM_BYTES = 1024  # for key, headers and framing below the topic's limit

# the message that the running step was given: its trace goes on in what the step sends
CURRENT: contextvars.ContextVar[Message | None] = contextvars.ContextVar("current_message", default=None)


class Sender:
    """Turns `Send`s into messages of one service and waits until the broker has them."""

    def __init__(self, service: str, settings: Settings, producer: AckedProducer) -> None:
        self.service = service
        self.name = f"{service}@{__version__}"
        self._settings = settings
        self._producer = producer

    async def send(self, sends: Iterable[Send]) -> None:
        """Produce all, return when all are acknowledged. Raises Rejected where a record is over its topic's limit."""
        await self.produce([(send.topic, *self._message(send), send.partition) for send in sends])

    def _message(self, send: Send) -> tuple[bytes | None, bytes | None, Headers]:
        key = send.key if send.key is not None or send.record is None else key_of(send.topic, send.record)
        value = None if send.record is None else encode(send.record)
        topic = load_topics()[send.topic]
        if key is None and (topic.cleanup == "compact" or value is None):
            raise ValueError(f"a record without a key cannot go to {send.topic}: {send}")
        limit = topic.max_message_bytes - HEADROOM_BYTES
        if value is not None and len(value) > limit:
            raise Rejected("result-too-large", f"{len(value)} bytes for {send.topic}, the limit is {limit}")
        msg_id = message_id(send.record) if send.record is not None else key or ""
        return None if key is None else key.encode(), value, self._headers(msg_id, send.attempt)

    def _headers(self, msg_id: str, attempt: int) -> Headers:
        return [
            ("msg-id", msg_id.encode()),
            ("run-id", self._settings.run_id.encode()),
            ("producer", self.name.encode()),
            ("traceparent", traceparent(msg_id, self.service, CURRENT.get())),
            ("attempt", b"%d" % attempt),
        ]

    async def produce(self, messages: list[tuple[str, bytes | None, bytes | None, Headers, int | None]]) -> None:
        """The same for messages that are encoded already: (topic, key, value, headers, partition)."""
        if not messages:
            return
        acks = _Acknowledgements(len(messages))
        for topic, key, value, headers, partition in messages:
            name = self._settings.topic_name(topic)
            while True:
                try:
                    self._producer.produce(name, key, value, headers, partition, acks.one)
                    break
                except BufferError:
                    await asyncio.sleep(FULL_QUEUE_SECONDS)
        await acks.all
        for topic, *_ in messages:
            PRODUCED.labels(self.service, topic).inc()


class _Acknowledgements:
    """A future of the loop that is done when `count` deliveries were reported in the producer's thread."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self.all: asyncio.Future[None] = self._loop.create_future()

    def one(self, error: KafkaError | None) -> None:
        if error is not None:  # the producer has told the process to end; this record stays unfinished
            return
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self._loop.call_soon_threadsafe(self._done)

    def _done(self) -> None:
        if not self.all.done():
            self.all.set_result(None)


def traceparent(msg_id: str, service: str, cause: Message | None) -> bytes:
    """W3C trace context: the trace of the causing message goes on; without one it follows from the id."""
    given = cause.headers.get("traceparent", b"").decode("ascii", "replace").split("-") if cause else []
    trace = given[1] if len(given) == 4 and len(given[1]) == 32 else _digest(16, msg_id)
    return f"00-{trace}-{_digest(8, msg_id, service)}-01".encode()


def _digest(size: int, *parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=size).hexdigest()
