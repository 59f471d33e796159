"""The SPARQL client: one question in, believed rows out. The only file that knows SPARQLWrapper."""

from __future__ import annotations

import http.client
import time
import urllib.error
import warnings
from collections.abc import Callable, Iterator, Sequence
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

import structlog
from SPARQLWrapper import GET, JSON, POST, SPARQLWrapper
from SPARQLWrapper import SPARQLExceptions as foreign

from entityflow import __version__
from entityflow.errors import UsageError, UserError
from services.entity_harvester.answers import (
    CutAnswer,
    NoAnswer,
    Refused,
    Row,
    WrongQuestion,
    check_status,
    parse_rows,
)
from services.entity_harvester.questions import PREFIXES
from services.entity_harvester.settings import HarvesterSettings

LONGEST_GET = 1800  # characters of a query; longer ones do not fit into every server's request line
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
UNSAID_WAIT_SECONDS = 10.0  # 429 without Retry-After
LOOPBACK = ("127.0.0.1", "::1", "localhost")
STATUS_OF = {
    foreign.QueryBadFormed: 400,
    foreign.Unauthorized: 401,
    foreign.EndPointNotFound: 404,
    foreign.URITooLong: 414,
    foreign.EndPointInternalError: 500,
}


class Sparql:
    """Asks one endpoint, one question at a time, politely: it waits as long as it is told to, and gives up in the end.

    Bad answers are counted in a row over all questions; a good one sets the count back.
    """

    def __init__(self, settings: HarvesterSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = _endpoint(settings)
        self._settings = settings
        self._sleep = sleep
        self._failures = 0
        self._log = structlog.get_logger().bind(endpoint=self.endpoint)

    def rows(self, query: str, expected: int | None = None) -> list[Row]:
        """All rows, as many as expected, or else as the endpoint itself counts. Raises CutAnswer: ask for less.

        A part that parses is never taken for the whole: after some tries it is a UserError.
        """
        for attempt in range(self._settings.harvester_attempts):
            found = self._ask(query)
            counted = self.count(f"{{ {query} }}") if expected is None else expected
            if len(found) == counted:
                return found
            self._pause(f"{len(found)} rows of {counted}", attempt)
        raise UserError(
            f"SPARQL endpoint {self.endpoint} gives {len(found)} rows where it counts {counted}",
            hint="its answers are cut short; nothing was written",
        )

    def each(self, ids: Sequence[str], question: Callable[[list[str]], str]) -> Iterator[Row]:
        """The rows for all ids, a batch at a time; a batch whose answer is cut is asked for again in halves."""
        size = self._settings.harvester_batch_items
        waiting = [list(ids[start : start + size]) for start in range(0, len(ids), size)][::-1]
        while waiting:
            batch = waiting.pop()
            try:
                rows = self.rows(question(batch))
            except CutAnswer:
                half = len(batch) // 2
                waiting += [part for part in (batch[half:], batch[:half]) if part]
                continue
            yield from rows

    def count(self, pattern: str, what: str = "*") -> int:
        """How many solutions a pattern has. An aggregate without a row is asked for again, then taken as nothing."""
        empty = 0
        while empty < self._settings.harvester_attempts - 1:
            try:
                rows = self._ask(f"SELECT (COUNT({what}) AS ?count) WHERE {{ {pattern} }}")
            except CutAnswer:  # there is no smaller question; `_failed` gives up in the end
                continue
            for row in rows:
                if "count" in row and row["count"].value.isdigit():
                    return int(row["count"].value)
            self._pause("an aggregate without a row", empty)
            empty += 1
        return 0

    def _ask(self, query: str) -> list[Row]:
        while True:
            try:
                rows = self._once(PREFIXES + query)
            except WrongQuestion as exc:
                raise UserError(f"SPARQL endpoint {self.endpoint}: {exc}", hint="check the endpoint's address") from exc
            except CutAnswer as exc:
                self._failed(exc)
                raise
            except NoAnswer as exc:
                self._failed(exc)
                continue
            self._failures = 0
            return rows

    def _failed(self, error: NoAnswer) -> None:
        """Waits before the next question; raises UserError when that is enough."""
        self._failures += 1
        patience = self._settings.harvester_patience_seconds
        if self._failures >= self._settings.harvester_attempts:
            raise UserError(
                f"SPARQL endpoint {self.endpoint}: {self._failures} bad answers in a row, the last: {error}",
                hint="nothing was written; the same command tries again",
            ) from error
        seconds = UNSAID_WAIT_SECONDS if isinstance(error, Refused) else 0.0
        if isinstance(error, Refused) and error.seconds is not None:
            seconds = error.seconds
        if seconds > patience:
            raise UserError(
                f"SPARQL endpoint {self.endpoint} asks to wait {seconds:.0f} s, the limit is {patience:.0f} s",
                hint="try again then, or raise ENTITYFLOW_HARVESTER_PATIENCE_SECONDS",
            ) from error
        self._pause(str(error), self._failures - 1, seconds)

    def _pause(self, why: str, attempt: int, asked: float = 0.0) -> None:
        seconds = max(asked, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**attempt))
        self._log.warning("sparql_retry", why=why, wait_seconds=round(seconds, 1), attempt=attempt + 1)
        self._sleep(seconds)

    def _once(self, query: str) -> list[Row]:
        try:
            response = self._wrapper(query).query().response
            body = response.read()
        except urllib.error.HTTPError as exc:
            check_status(exc.code, _lower(exc.headers), exc.read())
            raise WrongQuestion(f"HTTP {exc.code}") from exc
        except foreign.SPARQLWrapperException as exc:
            check_status(STATUS_OF.get(type(exc), 400), {}, str(exc.args[0] if exc.args else exc).encode())
            raise
        except http.client.IncompleteRead as exc:
            raise CutAnswer(f"connection closed after {len(exc.partial)} bytes") from exc
        except TimeoutError as exc:
            raise CutAnswer(f"no answer within {self._settings.harvester_timeout_seconds:.0f} s") from exc
        except (urllib.error.URLError, http.client.HTTPException, OSError) as exc:
            if isinstance(getattr(exc, "reason", None), TimeoutError):
                raise CutAnswer(f"no answer within {self._settings.harvester_timeout_seconds:.0f} s") from exc
            raise NoAnswer(f"not reachable: {getattr(exc, 'reason', exc)}") from exc
        check_status(response.status, _lower(response.headers), body)
        return parse_rows(response.headers.get("Content-Type", ""), body)

    def _wrapper(self, query: str) -> Any:
        agent = f"entityflow/{__version__} ({self._settings.contact or 'no contact, loopback only'})"
        wrapper = SPARQLWrapper(self.endpoint, returnFormat=JSON, agent=agent)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapper.setOnlyConneg(True)
            wrapper.setMethod(GET if len(query) <= LONGEST_GET else POST)
            wrapper.setTimeout(max(1, round(self._settings.harvester_timeout_seconds)))
            wrapper.setQuery(query)
        return wrapper


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _endpoint(settings: HarvesterSettings) -> str:
    """The endpoint's address, if we may ask it: without a contact nothing leaves this machine."""
    address = settings.sparql_endpoint
    if not address:
        raise UsageError(
            "no SPARQL endpoint is set",
            hint="ENTITYFLOW_SPARQL_ENDPOINT names one; entityflow up starts a local one",
        )
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"ENTITYFLOW_SPARQL_ENDPOINT={address!r}: not an http or https address")
    if parts.hostname not in LOOPBACK and not settings.contact:
        raise UsageError(
            f"no contact address is set, so nothing is asked of {parts.hostname}",
            hint="ENTITYFLOW_CONTACT=you@example.org tells the endpoint who asks",
        )
    return address
