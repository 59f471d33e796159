"""At most so many at once for each key; a key that nobody uses takes no room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Lock:
    room: asyncio.Semaphore
    users: int = 0


class Turns:
    """First come, first served. Belongs to one event loop."""

    def __init__(self, at_once: int = 1) -> None:
        self._at_once = at_once
        self._locks: dict[str, _Lock] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Waits until fewer than `at_once` others are within."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = _Lock(asyncio.Semaphore(self._at_once))
        lock.users += 1
        try:
            async with lock.room:
                yield
        finally:
            lock.users -= 1
            if not lock.users:
                del self._locks[key]
