"""Questions that a provider cannot be asked now: kept in the bucket, back on `query` for that provider alone when due.

So a quota that is used up until tomorrow stops one provider and no other. Safe to repeat: a question has one object,
and it goes only after its query is acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from itertools import islice, takewhile

import structlog

from entityflow.codec import from_plain, to_plain
from entityflow.moments import shown
from entityflow.objects import ObjectMissing, Objects
from entityflow.records import Query
from entityflow.stage import Send

FOLDER = "postponed/"
AT_ONCE = 200  # of one sweep: what a provider cannot take comes back tomorrow


class Postponed:
    """The questions of all processes; whoever finds one due first brings it back."""

    def __init__(
        self,
        objects: Objects,
        send: Callable[[Iterable[Send]], Awaitable[None]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._objects, self._send, self._clock = objects, send, clock

    async def put(self, query: Query, provider: str, budget: int, due: float, why: str) -> None:
        """Ask this provider from `due` (epoch seconds) on, for `budget` candidates more."""
        rest = replace(query, providers=(provider,), budget=budget)
        body = json.dumps({"why": why, "query": to_plain(rest)}, ensure_ascii=False).encode()
        await asyncio.to_thread(self._objects.put, f"{FOLDER}{provider}/{int(due) + 1:012d}-{query.id}.json", body)
        structlog.get_logger().warning("search_postponed", provider=provider, query=query.id, due=shown(due), why=why)

    async def bring_back(self, providers: Iterable[str]) -> int:
        """Put what is due on `query` again, the longest due first; returns how many."""
        count = 0
        for provider in providers:
            for key, query in await asyncio.to_thread(self._due, provider):
                await self._send([Send("query", query)])
                await asyncio.to_thread(self._objects.delete, key)
                count += 1
        return count

    def _due(self, provider: str) -> list[tuple[str, Query]]:
        folder = f"{FOLDER}{provider}/"
        until = f"{folder}{int(self._clock()):012d}."  # keys are in the order of their moments
        keys = takewhile(lambda key: key < until, (stored.key for stored in self._objects.list(folder)))
        return [(key, query) for key in islice(keys, AT_ONCE) if (query := self._read(key)) is not None]

    def _read(self, key: str) -> Query | None:
        try:
            return from_plain(Query, json.loads(self._objects.get(key))["query"])
        except ObjectMissing:  # another process was faster
            return None
