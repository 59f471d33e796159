"""searcher: query -> url

Asks search providers for each query and writes every distinct address that they offer, best first; an address that
cannot be one ends as an outcome with its reason. Runs on Faust. A provider that cannot be asked now (a quota is used
up, it is away for long) is asked later, and holds up no other. Safe to replay: candidates have the ids of what was
asked and offered, and a provider's answer is kept in the bucket, so that the same question is never asked twice.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from entityflow.chosen_providers import ChosenProvider, chosen_providers
from entityflow.domain import Domain, load_domain
from entityflow.errors import Rejected, Retryable, UsageError
from entityflow.faust_stage import FaustStage
from entityflow.http import WebClient, open_session
from entityflow.metrics import EMPTY_SEARCHES
from entityflow.objects import Objects
from entityflow.reach import load_reach
from entityflow.records import Query
from entityflow.settings import load_settings
from entityflow.stage import Received, Send
from services.searcher.answers import KeptAnswers
from services.searcher.asking import Asking
from services.searcher.candidates import sort_hits
from services.searcher.client import HttpProvider
from services.searcher.patience import Patience
from services.searcher.postponed import Postponed
from services.searcher.secrets import secrets_of
from services.searcher.settings import SearcherSettings
from services.searcher.spending import Purse
from services.searcher.wiring import BucketLedger, Sending, caps_of, pace_of


class Searcher:
    """What a running searcher holds; what needs the event loop is made in `open`."""

    def __init__(self, domain: Domain, settings: SearcherSettings, stage: FaustStage) -> None:
        self._chosen: Mapping[str, ChosenProvider] = {one.name: one for one in chosen_providers(domain)}
        self._settings, self._stage = settings, stage
        self._secrets = {name: secrets_of(one.table) for name, one in self._chosen.items()}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connections to the providers, to the bucket, and for what comes back."""
        settings, chosen = self._settings, self._chosen
        objects, reach = Objects(settings), load_reach(settings, allow_loopback=True)
        answers = KeptAnswers(
            objects,
            {name: Purse(name, caps_of(one), BucketLedger(objects)) for name, one in chosen.items()},
            {name: pace_of(one, self._stage) for name, one in chosen.items()},
            {name: one.answers_days for name, one in chosen.items() if one.answers_days},
        )
        self._asking = Asking(answers, Patience(settings.searcher_patience_seconds, time.time))
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(open_session(reach))
            sending = await stack.enter_async_context(Sending("searcher", settings))
            client = WebClient(session, reach, settings.searcher_timeout_seconds)
            self._providers = {name: self._provider(one, client) for name, one in chosen.items()}
            self._postponed = Postponed(objects, sending.send)
            self._sweeping = asyncio.create_task(self._sweep(), name="postponed")
            stack.push_async_callback(_stopped, self._sweeping)
            yield

    def _provider(self, chosen: ChosenProvider, client: WebClient) -> HttpProvider:
        endpoint = chosen.endpoint
        if not endpoint:
            base = self._settings.search_endpoint.rstrip("/")
            if not base:
                raise UsageError(
                    f"no search endpoint is set for the provider {chosen.name}",
                    hint="ENTITYFLOW_SEARCH_ENDPOINT names one; entityflow up starts a local one",
                )
            endpoint = f"{base}/search"
        secrets, answer_bytes = self._secrets[chosen.name], self._settings.searcher_answer_bytes
        return HttpProvider(chosen.table, endpoint, secrets, client, answer_bytes)

    async def _sweep(self) -> None:
        while True:
            try:
                await self._postponed.bring_back(self._chosen)
            except Retryable as exc:
                structlog.get_logger().warning("sweep_failed", error=str(exc))
            await asyncio.sleep(self._settings.searcher_sweep_seconds)

    async def search(self, received: Received[Query]) -> Iterable[Send]:
        """Provider after provider until the budget of the query is filled."""
        if self._sweeping.done():  # it never ends but by an error
            self._sweeping.result()
        query, sends, rank = received.record, list[Send](), 0
        for name in query.providers:
            if name not in self._chosen:
                raise Rejected("unknown-provider", name)
            if not self._chosen[name].table.asks(query.kind, query.round):
                continue
            asked = await self._asking.ask(query, self._providers[name], self._chosen[name], query.budget - rank)
            if asked.later is not None:
                await self._postponed.put(query, name, query.budget - rank, asked.later, asked.why)
            candidates, refused = sort_hits(asked.hits, query, name, rank, time.time())
            sends += [Send("url", candidate.url, key=candidate.host_key) for candidate in candidates]
            sends += [Send("outcome", outcome) for outcome in refused]
            rank += len(asked.hits)
            if rank >= query.budget:
                break
        if not sends:
            EMPTY_SEARCHES.labels(query.kind).inc()
        return sends


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def main() -> None:
    settings = load_settings(SearcherSettings)
    if settings.domain is None:
        raise UsageError("no domain is set", hint="ENTITYFLOW_DOMAIN=domains/demo.yaml")
    stage = FaustStage("searcher", settings)
    searcher = Searcher(load_domain(settings.domain), settings, stage)
    stage.resource(searcher.open)
    stage.map("query", searcher.search, concurrency=settings.searcher_concurrency)
    sys.exit(stage.run())


if __name__ == "__main__":
    main()
