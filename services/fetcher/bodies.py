"""What a body holds: whether it begins like a picture, and unpacked where a server packed it unasked."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from entityflow.http import FetchFailed
from entityflow.pictures import BadPicture, told_format

GZIP_MAGIC = b"\x1f\x8b"
UNPACK_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def check_head(head: bytes, encoding: str) -> None:
    """Raises FetchFailed as soon as a body can be no picture: pages, films and endless streams end here."""
    if _is_packed(head, encoding):
        return
    try:
        told_format(head)
    except BadPicture as exc:
        raise FetchFailed(exc.reason, exc.detail) from exc


def unpacked(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body without its Content-Encoding; as it is where that was only declared."""
    if not _is_packed(body, encoding):
        return body
    unpacker = zlib.decompressobj(UNPACK_GZIP_OR_ZLIB)
    try:
        plain = unpacker.decompress(body, max_bytes)
    except zlib.error as exc:
        raise FetchFailed("bad-encoding", f"Content-Encoding: {encoding[:40]}: {exc}") from exc
    if unpacker.unconsumed_tail:
        raise FetchFailed("too-many-bytes", f"more than {max_bytes} unpacked")
    if not unpacker.eof:
        raise FetchFailed("incomplete-body", f"Content-Encoding: {encoding[:40]}: cut", transient=True)
    return plain


def _is_packed(head: bytes, encoding: str) -> bool:
    declared = encoding.lower()
    if "gzip" in declared:
        return head.startswith(GZIP_MAGIC)
    return "deflate" in declared and len(head) > 1 and head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0


class ByteBudget:
    """A bound for the bytes of all bodies in memory; whoever asks first is served first."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = self._free = limit_bytes
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Lease]:
        lease = Lease(self)
        try:
            yield lease
        finally:
            await self.give(lease.held)

    async def take(self, wanted: int) -> int:
        wanted = min(wanted, self._limit)
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        return wanted

    async def give(self, held: int) -> None:
        async with self._changed:
            self._free += held
            self._changed.notify_all()


class Lease:
    """One body's share of the budget; taken once, so that nobody waits while holding a part."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held = 0

    async def reserve(self, wanted: int) -> None:
        if not self.held:
            self.held = await self._budget.take(wanted)
