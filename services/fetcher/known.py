"""Which addresses were tried before, and what each gave: none of them is asked again without need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from entityflow.records import Address, Record


@dataclass(slots=True)
class _Use:
    users: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class KnownAddresses:
    """Follows the `address` topic. An entry holds an image, a reason, or the address that it redirects to."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[str, Address] = {}
        self._in_use: dict[str, _Use] = {}

    def learn(self, url_id: str, record: Record | None) -> None:
        if isinstance(record, Address):
            self._entries[url_id] = record
        else:
            self._entries.pop(url_id, None)

    def find(self, url_id: str) -> Address | None:
        entry = self._entries.get(url_id)
        if entry is not None and entry.expires is not None and entry.expires <= self._clock():
            del self._entries[url_id]
            return None
        return entry

    @asynccontextmanager
    async def exclusive(self, url_id: str) -> AsyncIterator[None]:
        """One candidate of an address at a time: the next one finds what this one learns."""
        use = self._in_use.setdefault(url_id, _Use())
        use.users += 1
        try:
            async with use.lock:
                yield
        finally:
            use.users -= 1
            if not use.users:
                del self._in_use[url_id]
