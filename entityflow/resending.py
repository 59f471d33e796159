"""Sending messages that lay on the broker before: at a pace, each chunk acknowledged before the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from entityflow.kafka import AckedProducer, Headers
from entityflow.settings import Settings
from entityflow.stage.messages import Send
from entityflow.stage.producing import Sender

CHUNK = 500
FLUSH_SECONDS = 30.0
LOOK_SECONDS = 0.5

T = TypeVar("T")
Raw = tuple[str, bytes | None, bytes | None, Headers, int | None]  # topic, key, value, headers, partition


class Resender:
    """A producer for encoded messages; leaving the block waits for what is under way."""

    def __init__(self, service: str, settings: Settings) -> None:
        self._failures: list[Exception] = []
        self._producer = AckedProducer(settings, self._failures.append)
        self._sender = Sender(service, settings, self._producer)

    def __enter__(self) -> Resender:
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.close(FLUSH_SECONDS)

    def send(self, messages: list[Raw]) -> None:
        """Returns when the broker has all of them; raises what the broker refused for good."""
        asyncio.run(self._until_done(self._sender.produce(messages)))

    def send_records(self, sends: list[Send]) -> None:
        """The same for records."""
        asyncio.run(self._until_done(self._sender.send(sends)))

    async def _until_done(self, work: Coroutine[Any, Any, None]) -> None:
        sending = asyncio.ensure_future(work)
        while not sending.done():
            await asyncio.wait([sending], timeout=LOOK_SECONDS)
            if self._failures:
                sending.cancel()
                raise self._failures[0]
        await sending


class Rate:
    """At most `per_second` items, counted from the first; without a rate as fast as it goes."""

    def __init__(
        self,
        per_second: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second, self._clock, self._sleep = per_second, clock, sleep
        self._begun: float | None = None
        self._let_through = 0

    @property
    def chunk(self) -> int:
        """How many may go together: no more than are due in a second."""
        return CHUNK if self._per_second is None else max(1, min(CHUNK, int(self._per_second)))

    def wait(self, count: int) -> None:
        """Returns when the next `count` may go."""
        now = self._clock()
        if self._begun is None:
            self._begun = now
        if self._per_second is not None and (early := self._begun + self._let_through / self._per_second - now) > 0:
            self._sleep(early)
        self._let_through += count

    def chunks(self, items: Iterable[T]) -> Iterator[list[T]]:
        """The items in chunks, each when it is due."""
        rest = iter(items)
        while chunk := list(islice(rest, self.chunk)):
            self.wait(len(chunk))
            yield chunk
