"""An opt-out service: asked for many addresses at once whether their owners want them left alone.

POST of one address a line; the answer is JSON {"urls": [{"url": ..., "optOut": true}]}, as Spawning's API gives it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from entityflow.addresses import WebAddress
from entityflow.errors import Retryable
from entityflow.http import FetchFailed
from entityflow.operator_http import posting

MAX_ADDRESSES = 1000
GATHER_SECONDS = 0.05


@asynccontextmanager
async def opt_out_service(endpoint: str, key: str = "") -> AsyncIterator[OptOutService | None]:
    """None without an endpoint; `key` goes into the Authorization header."""
    if not endpoint:
        yield None
        return
    headers = {"Content-Type": "text/plain", **({"Authorization": key} if key else {})}
    async with posting(endpoint, headers) as post:
        yield OptOutService(post)


class OptOutService:
    """Fails closed: without its answer nothing is fetched, and is tried again later."""

    def __init__(self, post: Callable[[bytes], Awaitable[bytes]]) -> None:
        self._post = post
        self._waiting: dict[str, asyncio.Future[bool | str]] = {}
        self._flushing: asyncio.Task[None] | None = None

    async def opted_out(self, address: WebAddress) -> bool:
        """Raises FetchFailed where the service does not say."""
        if address.request not in self._waiting:
            self._waiting[address.request] = asyncio.get_running_loop().create_future()
        waiting = self._waiting[address.request]
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        said = await asyncio.shield(waiting)
        if isinstance(said, str):
            raise FetchFailed("opt-out-unknown", said, transient=True)
        return said

    async def _flush(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        while self._waiting:
            batch = {url: self._waiting.pop(url) for url in list(self._waiting)[:MAX_ADDRESSES]}
            try:
                said = parse_answer(await self._post("\n".join(batch).encode()))
                fault = "the service left the address out"
            except Retryable as exc:
                said, fault = {}, exc.detail
            for url, waiting in batch.items():
                waiting.set_result(said.get(url, fault))


def parse_answer(body: bytes) -> Mapping[str, bool]:
    """By address; an answer of another form says nothing about any."""
    try:
        entries = json.loads(body)["urls"]
        return {str(entry["url"]): bool(entry["optOut"]) for entry in entries}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
