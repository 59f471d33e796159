"""Sending records: encoding, headers, size limit, and waiting for every acknowledgement."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from entityflow import __version__
from entityflow.codec import encode
from entityflow.errors import Rejected
from entityflow.kafka import Headers, OnAcknowledged
from entityflow.metrics import PRODUCED
from entityflow.settings import Settings
from entityflow.stage.messages import Message, Send
from entityflow.topics import key_of, load_topics, message_id

FULL_QUEUE_SECONDS = 0.02
POLL_SECONDS = 0.002
HEADROOM_BYTES = 1024  # for key, headers and framing below the topic's limit

# the message that the running step was given: its trace goes on in what the step sends
CURRENT: contextvars.ContextVar[Message | None] = contextvars.ContextVar("current_message", default=None)

Encoded = tuple[str, bytes | None, bytes | None, Headers, int | None]  # topic, key, value, headers, partition


class Producer(Protocol):
    """What the shell asks of a broker's producer; all of it is called in the loop's thread."""

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None,
        on_acknowledged: OnAcknowledged,
    ) -> None:
        """Hand over one message for a topic, its full name. Raises BufferError while the queue is full."""

    def poll(self) -> Mapping[str, int]:
        """Call `on_acknowledged` of what the broker has by now; returns how many of each topic since the last call."""

    def under_way(self) -> int:
        """How many messages were handed over and not yet reported by `poll`."""

    def close(self, seconds: float) -> int:
        """Wait for what is under way; returns how many messages are still unacknowledged."""


class Acknowledgements(Protocol):
    """Hears, in the loop, of what was handed over."""

    def expect(self, count: int) -> None:
        """Called once, before the first."""

    def one(self) -> None:
        """One more is on the broker."""


@dataclass(frozen=True, slots=True)
class _Route:
    """What is the same for all records of a topic."""

    name: str
    limit: int
    compacted: bool


class Sender:
    """Turns `Send`s into messages of one service and waits until the broker has them. Belongs to one loop at a time."""

    def __init__(self, service: str, settings: Settings, producer: Producer) -> None:
        self.service = service
        self.name = f"{service}@{__version__}"
        self._settings = settings
        self._producer = producer
        self._routes: dict[str, _Route] = {}
        self._same_headers = [("run-id", settings.run_id.encode()), ("producer", self.name.encode())]
        self._acknowledged: dict[str, Any] = {}  # the counter of each topic, by its full name
        self._polling_in: asyncio.AbstractEventLoop | None = None

    def send(self, sends: Iterable[Send]) -> Coroutine[Any, Any, None]:
        """Produce all; done when all are acknowledged. Raises Rejected where a record is over its topic's limit."""
        return self.produce([self._message(send) for send in sends])

    def _message(self, send: Send) -> Encoded:
        record, route = send.record, self._route(send.topic)
        key = send.key if send.key is not None or record is None else key_of(record)
        value = None if record is None else encode(record)
        if key is None and (route.compacted or value is None):
            raise ValueError(f"a record without a key cannot go to {send.topic}: {send}")
        if value is not None and len(value) > route.limit:
            raise Rejected("result-too-large", f"{len(value)} bytes for {send.topic}, the limit is {route.limit}")
        msg_id = message_id(record) if record is not None else key or ""
        headers: Headers = [
            ("msg-id", msg_id.encode()),
            *self._same_headers,
            ("traceparent", traceparent(msg_id, self.service, CURRENT.get())),
            ("attempt", b"%d" % send.attempt),
        ]
        if send.waited:
            headers.append(("waited", f"{send.waited:g}".encode()))
        return send.topic, None if key is None else key.encode(), value, headers, send.partition

    def _route(self, topic: str) -> _Route:
        if topic not in self._routes:
            found = load_topics().get(topic)  # dead letters go out encoded, with a topic of their own
            limit = found.max_message_bytes - HEADROOM_BYTES if found else 0
            compacted = found is not None and found.cleanup == "compact"
            name = self._settings.topic_name(topic)
            self._routes[topic] = _Route(name, limit, compacted)
            self._acknowledged[name] = PRODUCED.labels(self.service, topic)
        return self._routes[topic]

    async def produce(self, messages: list[Encoded]) -> None:
        """The same for messages that are encoded already."""
        if messages:
            all_of_them = _All(asyncio.get_running_loop())
            await self._hand_over(messages, all_of_them)
            await all_of_them.future

    async def hand_over(self, sends: Iterable[Send], acknowledgements: Acknowledgements) -> None:
        """Produce without waiting; `acknowledgements` hears how many to expect, and of each in the loop."""
        await self._hand_over([self._message(send) for send in sends], acknowledgements)

    async def _hand_over(self, messages: list[Encoded], acknowledgements: Acknowledgements) -> None:
        acknowledgements.expect(len(messages))
        for topic, key, value, headers, partition in messages:
            name = self._route(topic).name
            while True:
                try:
                    self._producer.produce(name, key, value, headers, partition, acknowledgements.one)
                    break
                except BufferError:
                    self.poll()
                    await asyncio.sleep(FULL_QUEUE_SECONDS)
        if self._polling_in is None or self._polling_in.is_closed():
            self._polling_in = asyncio.get_running_loop()
            self._polling_in.call_later(POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        """While anything is under way: acknowledgements are called here, in the loop, so that nothing needs a lock."""
        self.poll()
        if self._producer.under_way() and self._polling_in is not None:
            self._polling_in.call_later(POLL_SECONDS, self._poll)
        else:
            self._polling_in = None

    def poll(self) -> None:
        """Hear of acknowledgements, and of errors of the connection while nobody waits for any."""
        for name, count in self._producer.poll().items():
            self._acknowledged[name].inc(count)


class _All:
    """A future that is done when everything expected is acknowledged."""

    __slots__ = ("_left", "future")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = 0
        self.future: asyncio.Future[None] = loop.create_future()

    def expect(self, count: int) -> None:
        self._left = count

    def one(self) -> None:
        self._left -= 1
        if self._left == 0 and not self.future.done():
            self.future.set_result(None)


def traceparent(msg_id: str, service: str, cause: Message | None) -> bytes:
    """W3C trace context: the trace of the causing message goes on; without one it follows from the id."""
    given = cause.headers.get("traceparent", b"") if cause else b""
    trace = given[3:35] if len(given) == 55 else _digest(16, msg_id)
    return b"00-%b-%b-01" % (trace, _digest(8, msg_id, service))


def _digest(size: int, *parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=size).hexdigest().encode()
