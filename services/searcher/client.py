"""One search provider over HTTP, whichever its table describes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from entityflow.addresses import BadAddress, WebAddress, parse_address
from entityflow.errors import Rejected, Retryable, UserError
from entityflow.http import FetchFailed, WebClient
from entityflow.providers import ProviderTable
from entityflow.retry_after import retry_after
from services.searcher.providers import Page, PageTooDeep, Request
from services.searcher.reading import AnswerAway, AnswerChanged, AnswerRefused, SetupWrong, read_page
from services.searcher.wording import Question, question

AWAY, REFUSED, CHANGED = "provider-away", "query-refused", "answer-changed"
UNSAID_WAIT_SECONDS = 1.0  # 429 without a usable Retry-After
PAYMENT_WAIT_SECONDS = 3600.0  # 402: somebody has to pay, or a month to pass
QUOTED_BYTES = 200


class Unavailable(Exception):
    """The provider asks us to stay away until this epoch second: too long to wait for."""

    def __init__(self, until: float, why: str) -> None:
        super().__init__(why)
        self.until = until


class HttpProvider:
    """One client for the process: all its queries wait when the provider asks for a pause, one after the other.

    secrets: by name, as the table mentions them. `patience_seconds`: the longest pause that is waited for.
    """

    def __init__(
        self,
        table: ProviderTable,
        endpoint: str,
        secrets: Mapping[str, str],
        client: WebClient,
        answer_bytes: int,
        patience_seconds: float = 120.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.table = table.name, table
        self._endpoint, self._secrets, self._client = endpoint, secrets, client
        self._answer_bytes, self._patience, self._clock = answer_bytes, patience_seconds, clock
        self._not_before = 0.0

    def request_id(self, request: Request) -> str:
        return self._question(request).id

    async def ask(self, request: Request) -> bytes:
        """The answer as it came. Raises PageTooDeep, Unavailable, Retryable, Rejected, UserError."""
        await self._stay_away()
        asked = self._question(request)
        address = self._address(asked)
        try:
            async with self._client.get(address, "application/json", asked.headers) as response:
                body = await response.body(self._answer_bytes)
        except FetchFailed as exc:
            raise self._unreachable(exc) from exc
        self._check(response.status, response.headers, body, request)
        self._read_first(body, request)
        return body

    def read(self, answer: bytes) -> Page:
        """Raises ValueError for what is no whole answer, Rejected for one of another shape."""
        try:
            return read_page(self.table.answer, answer)
        except AnswerChanged as exc:
            raise Rejected(CHANGED, f"{self.name}: {exc}") from exc

    async def _stay_away(self) -> None:
        while (seconds := self._not_before - self._clock()) > 0:
            self._leave_if_long(f"{self.name} asks to wait {seconds:.0f} s")
            await asyncio.sleep(seconds)

    def _leave_if_long(self, why: str) -> None:
        if self._not_before - self._clock() > self._patience:
            raise Unavailable(self._not_before, why)

    def _question(self, request: Request) -> Question:
        return question(self.table, self._endpoint, request, self._secrets)

    def _address(self, asked: Question) -> WebAddress:
        try:
            return parse_address(asked.address)
        except BadAddress as exc:
            raise UserError(
                f"provider {self.name}: its endpoint {self._endpoint!r} is no address ({exc.reason})",
                hint="ENTITYFLOW_SEARCH_ENDPOINT for the demo web, endpoint in the domain file for others",
            ) from exc

    def _unreachable(self, error: FetchFailed) -> Exception:
        told = self._told(f"provider {self.name}: {error}")
        if error.reason in ("no-contact", "private-address"):
            return UserError(told, hint="set ENTITYFLOW_CONTACT; a private address is never asked")
        return Retryable(AWAY, told)

    def _check(self, status: int, headers: Mapping[str, str], body: bytes, request: Request) -> None:
        if status == 200:
            return
        told = self._told(f"{self.name}: HTTP {status} for page {request.page} of {request.text!r}: {_quoted(body)}")
        if status in (402, 429, 503):
            self._pause(headers.get("Retry-After"), PAYMENT_WAIT_SECONDS if status == 402 else UNSAID_WAIT_SECONDS)
            self._leave_if_long(told)
        if status in (402, 408, 425, 429) or status >= 500:
            raise Retryable(AWAY, told)
        if status in (401, 403) or (300 <= status < 400) or (status == 404 and request.page == 1):
            raise UserError(told, hint="check the provider's endpoint and its secrets (docs/providers.md)")
        if request.page > 1:
            raise PageTooDeep(told)
        raise Rejected(REFUSED, told)

    def _pause(self, said: str | None, otherwise: float) -> None:
        now = self._clock()
        seconds = retry_after(said, now)
        self._not_before = max(
            self._not_before, now + max(UNSAID_WAIT_SECONDS, otherwise if seconds is None else seconds)
        )

    def _read_first(self, body: bytes, request: Request) -> None:
        """An answer that will not be readable is not kept."""
        try:
            self.read(body)
        except ValueError as exc:
            raise Retryable(AWAY, self._told(f"{self.name}: no whole answer: {exc}")) from exc
        except AnswerAway as exc:
            raise Retryable(AWAY, self._told(f"{self.name}: {exc}")) from exc
        except AnswerRefused as exc:
            told = self._told(f"{self.name}: page {request.page} of {request.text!r}: {exc}")
            raise (PageTooDeep(told) if request.page > 1 else Rejected(REFUSED, told)) from exc
        except SetupWrong as exc:
            raise UserError(
                self._told(f"{self.name}: {exc}"), hint="check the provider's secrets (docs/providers.md)"
            ) from exc

    def _told(self, text: str) -> str:
        """Without secrets."""
        for secret in self._secrets.values():
            text = text.replace(secret, "***") if secret else text
        return text


def _quoted(body: bytes) -> str:
    return " ".join(body[:QUOTED_BYTES].decode("utf-8", "replace").split())
