"""Whose turn it is: records of the same image go one after the other, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """A sighting is judged at once and its picture is not: without turns it would ask the index before the picture has,
    learn that nobody knows it, and have the address fetched again."""

    def __init__(self) -> None:
        self._waiting: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def of(self, image_id: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(image_id, asyncio.Lock())
        self._waiting[image_id] = self._waiting.get(image_id, 0) + 1
        try:
            async with lock:  # first come, first served
                yield
        finally:
            self._waiting[image_id] -= 1
            if not self._waiting[image_id]:
                del self._waiting[image_id], self._locks[image_id]
