"""One query at one provider: what it gives now, and whether it is to be asked for the rest later."""

from __future__ import annotations

from dataclasses import dataclass

from entityflow.chosen_providers import ChosenProvider
from entityflow.errors import Retryable
from entityflow.metrics import SEARCHES_LEFT_OUT
from entityflow.records import Query
from services.searcher.answers import KeptAnswers
from services.searcher.client import Unavailable
from services.searcher.paging import collect_hits
from services.searcher.patience import Patience
from services.searcher.providers import Hit, Page, PageTooDeep, Provider, request_of
from services.searcher.spending import SpentOut


@dataclass(slots=True)
class Asked:
    """`later`: epoch seconds from which on the provider may be asked for the rest; none = this is all."""

    hits: list[Hit]
    later: float | None = None
    why: str = ""


class Asking:
    """Raises Retryable while a provider that is away is worth waiting for."""

    def __init__(self, answers: KeptAnswers, patience: Patience) -> None:
        self._answers, self._patience = answers, patience

    async def ask(self, query: Query, provider: Provider, chosen: ChosenProvider, budget: int) -> Asked:
        """What was found before something went wrong counts: it is paid for."""
        asked = Asked([])

        async def page(number: int, cursor: str | None) -> Page:
            try:
                return await self._page(query, provider, chosen, number, cursor)
            except _NotNow as exc:
                asked.later, asked.why = exc.until, str(exc)
                SEARCHES_LEFT_OUT.labels(provider.name, exc.word).inc()
                raise PageTooDeep(str(exc)) from exc

        asked.hits = await collect_hits(page, budget, chosen.max_pages, chosen.per_page)
        return asked

    async def _page(
        self, query: Query, provider: Provider, chosen: ChosenProvider, number: int, cursor: str | None
    ) -> Page:
        request = request_of(query, number, chosen.per_page, cursor)
        try:
            if (until := self._patience.away_until(provider.name)) is not None:
                found = await self._answers.kept_page(provider, request)
                if found is None:
                    raise _NotNow("away", f"{provider.name} is left alone", until)
                return found
            page = await self._answers.page(provider, request)
        except SpentOut as exc:
            raise _NotNow("spent", str(exc), exc.until) from exc
        except Unavailable as exc:
            raise _NotNow("quota", str(exc), exc.until) from exc
        except Retryable as exc:
            until = self._patience.failed(provider.name)
            if until is None:
                raise
            raise _NotNow("away", str(exc), until) from exc
        self._patience.went_well(provider.name)
        return page


class _NotNow(Exception):
    def __init__(self, word: str, why: str, until: float | None) -> None:
        super().__init__(why)
        self.word, self.until = word, until
