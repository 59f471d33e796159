"""Answers of providers, kept in the bucket: a replay asks nobody and pays nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from entityflow.metrics import SEARCH_REQUESTS
from entityflow.objects import ObjectMissing, Objects
from services.searcher.pacing import Pace
from services.searcher.providers import Page, Provider, Request
from services.searcher.spending import Purse

DAY_SECONDS = 86_400.0


def key_of(provider: Provider, request: Request) -> str:
    return f"searches/{provider.name}/{provider.request_id(request)}.json"


class KeptAnswers:
    """Asks a provider at most once for each request, whatever dies in between; counts it before it is sent.

    answers_days: by provider, how long an answer is good; without an entry it is good for ever.
    """

    def __init__(
        self,
        objects: Objects,
        purses: Mapping[str, Purse],
        paces: Mapping[str, Pace],
        answers_days: Mapping[str, float],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._objects, self._purses, self._paces = objects, purses, paces
        self._days, self._clock = answers_days, clock

    async def kept_page(self, provider: Provider, request: Request) -> Page | None:
        """The answer that is kept, if there is one."""
        kept = await asyncio.to_thread(self._kept, provider.name, key_of(provider, request))
        if kept is None:
            return None
        SEARCH_REQUESTS.labels(provider.name, "kept").inc()
        return provider.read(kept)

    async def page(self, provider: Provider, request: Request) -> Page:
        """Raises SpentOut where a cap forbids to ask, and whatever the provider raises."""
        kept = await self.kept_page(provider, request)
        if kept is not None:
            return kept
        await self._paces[provider.name].turn()
        await asyncio.to_thread(self._purses[provider.name].spend)
        answer = await provider.ask(request)
        SEARCH_REQUESTS.labels(provider.name, "asked").inc()
        await asyncio.to_thread(self._objects.put, key_of(provider, request), answer)
        return provider.read(answer)

    def _kept(self, provider: str, key: str) -> bytes | None:
        if self._is_old(provider, key):
            return None
        try:
            return self._objects.get(key)
        except ObjectMissing:
            return None

    def _is_old(self, provider: str, key: str) -> bool:
        days = self._days.get(provider)
        if days is None:
            return False
        return any(
            self._clock() - stored.modified.timestamp() > days * DAY_SECONDS for stored in self._objects.list(key)
        )
