"""The provider `demo`: a JSON search API over HTTP, as the project's own demo web serves it.

GET /search?q=&page=&per_page= -> {query, page, pages, total, hits: [{url, title, alt, description, page_url, width,
height, license: {id, url}, creator}]}; of a hit only `url` is needed.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from entityflow.addresses import BadAddress, parse_address
from entityflow.errors import Rejected, Retryable, UsageError, UserError
from entityflow.http import FetchFailed, WebClient
from entityflow.records import License
from services.searcher.plain import plain_text
from services.searcher.providers import Hit, Page, PageTooDeep, Request

AWAY = "provider-away"
REFUSED = "query-refused"
LONGEST_WAIT_SECONDS = 120.0


class DemoProvider:
    """One client for the process; all its queries wait when the provider asks for a pause."""

    name = "demo"

    def __init__(self, endpoint: str, client: WebClient, answer_bytes: int) -> None:
        if not endpoint:
            raise UsageError(
                "no search endpoint is set for the provider demo",
                hint="ENTITYFLOW_SEARCH_ENDPOINT names one; entityflow up starts a local one",
            )
        self._endpoint, self._client, self._answer_bytes = endpoint.rstrip("/"), client, answer_bytes
        self._not_before = 0.0

    async def ask(self, request: Request) -> bytes:
        await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
        asked = urlencode({"q": request.text, "page": request.page, "per_page": request.per_page})
        try:
            address = parse_address(f"{self._endpoint}/search?{asked}")
        except BadAddress as exc:
            raise UsageError(f"ENTITYFLOW_SEARCH_ENDPOINT={self._endpoint!r}: {exc}") from exc
        try:
            async with self._client.get(address, "application/json") as response:
                body = await response.body(self._answer_bytes)
                self._check(response.status, response.headers, request)
        except FetchFailed as exc:
            if exc.reason in ("no-contact", "private-address"):
                raise UserError(f"search endpoint {self._endpoint}: {exc}", hint="set ENTITYFLOW_CONTACT") from exc
            raise Retryable(AWAY, str(exc)) from exc
        try:
            self.read(body)
        except ValueError as exc:
            raise Retryable(AWAY, f"no whole answer: {exc}") from exc
        return body

    def _check(self, status: int, headers: Mapping[str, str], request: Request) -> None:
        told = f"HTTP {status} of {self._endpoint} for page {request.page} of {request.text!r}"
        if status == 200:
            return
        if status in (429, 503):
            self._not_before = time.monotonic() + _seconds(headers.get("Retry-After"))
        if status in (408, 425, 429) or status >= 500:
            raise Retryable(AWAY, told)
        if status in (401, 403) or (status == 404 and request.page == 1):
            raise UserError(told, hint="check ENTITYFLOW_SEARCH_ENDPOINT")
        if request.page > 1:
            raise PageTooDeep(told)
        raise Rejected(REFUSED, told)

    def read(self, answer: bytes) -> Page:
        document = json.loads(answer)
        if not isinstance(document, dict) or not isinstance(document.get("hits"), list):
            raise ValueError("an object with hits is wanted")
        hits = tuple(hit for entry in document["hits"] if (hit := _hit(entry)) is not None)
        return Page(hits, _number(document.get("pages")))


def _hit(entry: Any) -> Hit | None:
    """None where there is no address."""
    if not isinstance(entry, dict) or not isinstance(entry.get("url"), str) or not entry["url"].strip():
        return None
    alternates = entry.get("alternates")
    return Hit(
        address=entry["url"],
        alternates=tuple(one for one in alternates if isinstance(one, str)) if isinstance(alternates, list) else (),
        title=plain_text(entry.get("title")),
        alt_text=plain_text(entry.get("alt")),
        description=plain_text(entry.get("description")),
        page_url=entry["page_url"] if isinstance(entry.get("page_url"), str) else None,
        width=_number(entry.get("width")),
        height=_number(entry.get("height")),
        license=_license(entry.get("license")),
        creator=plain_text(entry.get("creator")),
    )


def _license(value: Any) -> License | None:
    if isinstance(value, str):
        value = {"id": value}
    if not isinstance(value, dict):
        return None
    found = License(id=plain_text(value.get("id")), url=plain_text(value.get("url")))
    return found if found.id or found.url else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _seconds(retry_after: str | None) -> float:
    """How long to wait by a Retry-After in seconds; at least one, at most LONGEST_WAIT_SECONDS."""
    try:
        seconds = float(retry_after or 1)
    except ValueError:
        seconds = LONGEST_WAIT_SECONDS / 4  # a date: the back-off does the rest
    return min(max(seconds, 1.0), LONGEST_WAIT_SECONDS) if math.isfinite(seconds) else LONGEST_WAIT_SECONDS
