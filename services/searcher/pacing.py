"""The pause between two requests to a provider, over all processes: each has the share of its partitions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """`share()` is what part of all partitions this process has now, 0 to 1."""

    def __init__(
        self,
        seconds_between: float,
        share: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._seconds, self._share, self._clock, self._sleep = seconds_between, share, clock, sleep
        self._next = 0.0

    async def turn(self) -> None:
        """Returns when the next request may be sent; who comes first goes first."""
        if not self._seconds:
            return
        now = self._clock()
        at = max(now, self._next)
        self._next = at + self._seconds / max(self._share(), 0.01)
        if at > now:
            await self._sleep(at - now)
