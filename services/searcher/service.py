"""searcher: query -> url

Asks search providers for each query and writes every distinct address that they offer, best first; an address that
cannot be one ends as an outcome with its reason. Runs on Faust. Safe to replay: candidates have the ids of what was
asked and offered, and a provider's answer is kept in the bucket, so that the same question is never asked twice.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from entityflow.domain import Domain, load_domain
from entityflow.domain import Provider as ProviderRules
from entityflow.errors import Rejected, UsageError
from entityflow.faust_stage import FaustStage
from entityflow.http import WebClient, open_session
from entityflow.metrics import EMPTY_SEARCHES
from entityflow.objects import Objects
from entityflow.reach import load_reach
from entityflow.records import Query
from entityflow.settings import load_settings
from entityflow.stage import Received, Send
from services.searcher.answers import KeptAnswers
from services.searcher.candidates import sort_hits
from services.searcher.demo import DemoProvider
from services.searcher.paging import AskPage, collect_hits
from services.searcher.providers import Page, Provider, request_of
from services.searcher.settings import SearcherSettings

PROVIDERS = ("demo",)


class Searcher:
    def __init__(self, domain: Domain, settings: SearcherSettings) -> None:
        self._rules: Mapping[str, ProviderRules] = {rules.name: rules for rules in domain.providers}
        self._settings = settings
        self._providers: dict[str, Provider] = {}
        for name in self._rules:
            if name not in PROVIDERS:
                raise UsageError(f"provider {name!r} is not known", hint=f"known are {', '.join(PROVIDERS)}")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connections to the providers and to the bucket."""
        settings = self._settings
        self._answers = KeptAnswers(Objects(settings))
        reach = load_reach(settings, allow_loopback=True)
        async with open_session(reach) as session:
            client = WebClient(session, reach, settings.searcher_timeout_seconds)
            self._providers["demo"] = DemoProvider(settings.search_endpoint, client, settings.searcher_answer_bytes)
            yield

    async def search(self, received: Received[Query]) -> Iterable[Send]:
        """Provider after provider until the budget of the query is filled."""
        query, sends, rank = received.record, list[Send](), 0
        for name in query.providers:
            if name not in self._rules:
                raise Rejected("unknown-provider", name)
            hits = await collect_hits(self._asking(query, name), query.budget - rank, self._rules[name].max_pages)
            candidates, refused = sort_hits(hits, query, name, rank, time.time())
            sends += [Send("url", candidate.url, key=candidate.host_key) for candidate in candidates]
            sends += [Send("outcome", outcome) for outcome in refused]
            rank += len(hits)
            if rank >= query.budget:
                break
        if not sends:
            EMPTY_SEARCHES.labels(query.kind).inc()
        return sends

    def _asking(self, query: Query, name: str) -> AskPage:
        provider, per_page = self._providers[name], self._rules[name].per_page

        async def ask(page: int) -> Page:
            return await self._answers.page(provider, request_of(query, page, per_page))

        return ask


def main() -> None:
    settings = load_settings(SearcherSettings)
    if settings.domain is None:
        raise UsageError("no domain is set", hint="ENTITYFLOW_DOMAIN=domains/demo.yaml")
    searcher = Searcher(load_domain(settings.domain), settings)
    stage = FaustStage("searcher", settings)
    stage.resource(searcher.open)
    stage.map("query", searcher.search, concurrency=settings.searcher_concurrency)
    sys.exit(stage.run())


if __name__ == "__main__":
    main()
