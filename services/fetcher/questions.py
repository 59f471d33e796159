"""Yes-or-no questions to a service of the operator's choice, many in one request.

POST of one key a line; the answer is JSON: {"urls": [{"url": KEY, "optOut": true}]} for opt-outs, as Spawning's API
gives it, and {"hashes": [{"hash": KEY, "match": true}]} for known-bad hashes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from entityflow.errors import Retryable
from entityflow.operator_http import posting

MAX_KEYS = 1000
GATHER_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """Names in the JSON: of the list, of the key and of the yes or no."""

    entries: str
    key: str
    answer: str

    def parse(self, body: bytes) -> Mapping[str, bool]:
        """By key; an answer of another form says nothing about any."""
        try:
            return {str(entry[self.key]): bool(entry[self.answer]) for entry in json.loads(body)[self.entries]}
        except (ValueError, KeyError, TypeError, RecursionError):
            return {}


OPT_OUT = AnswerForm("urls", "url", "optOut")
BAD_HASHES = AnswerForm("hashes", "hash", "match")


class Unanswered(Exception):
    """The service did not say: nothing may be done as if it had said no."""


@asynccontextmanager
async def asking(endpoint: str, key: str, form: AnswerForm) -> AsyncIterator[Questions | None]:
    """None without an endpoint; `key` goes into the Authorization header."""
    if not endpoint:
        yield None
        return
    headers = {"Content-Type": "text/plain", **({"Authorization": key} if key else {})}
    async with posting(endpoint, headers) as post:
        yield Questions(post, form)


class Questions:
    """Gathers what is asked within a moment into one request; the same key is asked once."""

    def __init__(self, post: Callable[[bytes], Awaitable[bytes]], form: AnswerForm) -> None:
        self._post, self._form = post, form
        self._waiting: dict[str, asyncio.Future[bool | str]] = {}
        self._flushing: asyncio.Task[None] | None = None

    async def ask(self, key: str) -> bool:
        """Raises Unanswered."""
        if key not in self._waiting:
            self._waiting[key] = asyncio.get_running_loop().create_future()
        waiting = self._waiting[key]
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        said = await asyncio.shield(waiting)
        if isinstance(said, str):
            raise Unanswered(said)
        return said

    async def _flush(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        while self._waiting:
            batch = {key: self._waiting.pop(key) for key in list(self._waiting)[:MAX_KEYS]}
            try:
                said = self._form.parse(await self._post("\n".join(batch).encode()))
                fault = "the service left it out of its answer"
            except Retryable as exc:
                said, fault = {}, exc.detail
            for key, waiting in batch.items():
                waiting.set_result(said.get(key, fault))
