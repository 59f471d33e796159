"""What an answer of a SPARQL endpoint is worth: rows, or the reason why it is none.

A status of 200 proves nothing: an endpoint that fails half-way has sent its status already and cuts the JSON, or puts a
stack trace into it. Only a whole document counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from entityflow.retry_after import retry_after

RESULT_TYPES = ("application/sparql-results+json", "application/json")
EXCERPT = 160


@dataclass(frozen=True, slots=True)
class Term:
    """One value of a row: an IRI or a literal with its language."""

    value: str
    lang: str = ""


Row = Mapping[str, Term]


class NoAnswer(Exception):
    """Something was sent that is no whole answer; asked again, it may be."""


class CutAnswer(NoAnswer):
    """It began well and ended badly: a smaller question has better chances."""


class Refused(NoAnswer):
    """The endpoint asks to wait. `seconds` is what it said, none where it did not say."""

    def __init__(self, message: str, seconds: float | None) -> None:
        super().__init__(message)
        self.seconds = seconds


class WrongQuestion(Exception):
    """It will never be answered: malformed, forbidden, or no endpoint at all."""


def check_status(status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None) -> None:
    """Raises what a status other than 200 means. The body is only quoted, never parsed."""
    if status == 200:
        return
    told = f"HTTP {status}: {_excerpt(body)}"
    if status in (429, 503):
        raise Refused(told, retry_after(headers.get("retry-after"), (now or datetime.now(UTC)).timestamp()))
    if status in (408, 500, 502, 504):
        raise CutAnswer(told)
    raise WrongQuestion(told)


def parse_rows(content_type: str, body: bytes) -> list[Row]:
    """The rows of a whole SPARQL JSON document. Raises CutAnswer where it ends early, NoAnswer for anything else."""
    if content_type.partition(";")[0].strip().lower() not in RESULT_TYPES:
        raise NoAnswer(f"{content_type or 'no content type'} instead of SPARQL JSON: {_excerpt(body)}")
    try:
        document = json.loads(body)
    except ValueError as exc:  # also bytes that are no UTF-8
        raise CutAnswer(f"JSON ends badly after {len(body)} bytes: ...{_tail(body)}") from exc
    try:
        return [{name: _term(term) for name, term in row.items()} for row in document["results"]["bindings"]]
    except (KeyError, TypeError, AttributeError) as exc:
        raise NoAnswer(f"JSON without results: {_excerpt(body)}") from exc


def _term(term: Any) -> Term:
    return Term(str(term["value"]), str(term.get("xml:lang", "")).lower())


def _excerpt(body: bytes) -> str:
    return " ".join(body[:EXCERPT].decode("utf-8", "replace").split())


def _tail(body: bytes) -> str:
    return " ".join(body[-EXCERPT:].decode("utf-8", "replace").split())
