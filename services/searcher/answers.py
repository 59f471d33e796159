"""Answers of providers, kept in the bucket: a replay asks nobody and pays nothing."""

from __future__ import annotations

import asyncio

from entityflow.metrics import SEARCH_REQUESTS
from entityflow.objects import ObjectMissing, Objects
from services.searcher.providers import Page, Provider, Request


class KeptAnswers:
    """Asks a provider at most once for each request, whatever dies in between."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def page(self, provider: Provider, request: Request) -> Page:
        key = f"searches/{provider.name}/{request.id(provider.name)}.json"
        kept = await asyncio.to_thread(self._kept, key)
        if kept is not None:
            SEARCH_REQUESTS.labels(provider.name, "kept").inc()
            return provider.read(kept)
        answer = await provider.ask(request)
        SEARCH_REQUESTS.labels(provider.name, "asked").inc()
        await asyncio.to_thread(self._objects.put, key, answer)
        return provider.read(answer)

    def _kept(self, key: str) -> bytes | None:
        try:
            return self._objects.get(key)
        except ObjectMissing:
            return None
