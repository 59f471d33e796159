"""How far to page: until the budget is filled, or the provider has no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.searcher.providers import Hit, Page, PageTooDeep

AskPage = Callable[[int], Awaitable[Page]]


async def collect_hits(ask: AskPage, budget: int, max_pages: int) -> list[Hit]:
    """Distinct hits in the provider's order, at most `budget`.

    An empty page is not the end while the provider says that there are more; a repeated page yields nothing; a page
    that is too deep is the end.
    """
    found: dict[str, Hit] = {}
    for number in range(1, max_pages + 1):
        try:
            page = await ask(number)
        except PageTooDeep:
            break
        for hit in page.hits:
            found.setdefault(hit.address, hit)
        last = number >= page.pages if page.pages is not None else not page.hits
        if len(found) >= budget or last:
            break
    return list(found.values())[:budget]
