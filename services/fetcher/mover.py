"""Moves candidates from a retry topic back to `url` when its delay is over. Waiting holds up nothing but its topic."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from entityflow.addresses import parse_address
from entityflow.records import Url
from entityflow.stage import Received, Send

Step = Callable[[Received[Url]], Awaitable[list[Send]]]


class Mover:
    """`stopping` is looked at once a second, so that a stop does not wait for what is due in an hour."""

    def __init__(self, clock: Callable[[], float], stopping: Callable[[], bool]) -> None:
        self._clock, self._stopping = clock, stopping
        self._stop = asyncio.Event()

    def after(self, delay_seconds: float) -> Step:
        """The step for a retry topic of this delay."""

        async def move(received: Received[Url]) -> list[Send]:
            await self._until(received.message.timestamp_ms / 1000 + delay_seconds)
            return [back_to_url(received)]

        return move

    async def look(self) -> None:
        """For `Shell.every`."""
        if self._stopping():
            self._stop.set()

    async def _until(self, due: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), due - self._clock())
        except TimeoutError:
            return
        raise asyncio.CancelledError("stopping: the record stays where it is")


def back_to_url(received: Received[Url]) -> Send:
    """The same record under the key of its host; its attempts and its age are counted on."""
    message = received.message
    key = message.key.decode() if message.key else parse_address(received.record.address).host_key
    return Send("url", received.record, key=key, attempt=message.attempt, waited=message.waited)
