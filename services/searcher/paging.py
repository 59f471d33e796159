"""How far to page: until the budget is filled, or the provider has no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.searcher.providers import Hit, Page, PageTooDeep

AskPage = Callable[[int, str | None], Awaitable[Page]]  # number from 1, cursor of the page before


async def collect_hits(ask: AskPage, budget: int, max_pages: int, per_page: int = 0) -> list[Hit]:
    """Distinct hits in the provider's order, at most `budget`.

    An empty page is not the end while the provider says that there are more; a repeated page yields nothing, and is
    the end where nobody says how many there are; a page that is too deep is the end.
    """
    found: dict[str, Hit] = {}
    cursor = None
    for number in range(1, max_pages + 1):
        try:
            page = await ask(number, cursor)
        except PageTooDeep:
            break
        before, cursor = len(found), page.cursor
        for hit in page.hits:
            found.setdefault(hit.address, hit)
        endless = page.pages is None and page.more is None and len(found) == before
        if len(found) >= budget or endless or page.is_last(number, per_page):
            break
    return list(found.values())[:budget]
