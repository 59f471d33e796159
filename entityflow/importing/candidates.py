"""Rows to candidates: one for each address and text; whatever is wrong with a row is told and passes the others by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from entityflow.addresses import BadAddress, WebAddress, parse_address
from entityflow.ids import imported_candidate_id
from entityflow.importing.rows import Fault, List, Row, shown
from entityflow.records import Url

PROVIDER = "import"
MAX_TEXT_CHARACTERS = 65536
NO_TEXT_BYTES = re.compile("[\udc80-\udcff]")  # what no byte of UTF-8 text decodes to (PEP 383)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a list are read."""

    url: str = "url"
    text: str | None = None
    entity: str | None = None
    page: str | None = None

    def check(self, source: List) -> None:
        """Raises UsageError, before any row is read, where the list lacks one of them."""
        if not source.plain:
            source.require("--url-col", self.url)
        others = {"--text-col": self.text, "--entity-col": self.entity, "--page-col": self.page}
        for option, column in others.items():
            if column is not None:
                source.require(option, column)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that can be fetched. `text` is as it stands in the list: no word means that it is missing."""

    line: int
    url: Url
    host_key: str
    text: str | None


class _Wrong(ValueError):
    """A value that makes its row useless: (column, value, message)."""


def candidates(source: List, columns: Columns) -> Iterator[Candidate | Fault]:
    """One for each row, in order."""
    columns.check(source)
    return _candidates(source.rows, Columns(source.columns[0]) if source.plain else columns)


def _candidates(rows: Iterable[Row | Fault], columns: Columns) -> Iterator[Candidate | Fault]:
    for row in rows:
        if isinstance(row, Fault):
            yield row
            continue
        try:
            yield _candidate(row, columns)
        except _Wrong as wrong:
            column, value, message = wrong.args
            yield Fault(row.line, column, shown(value), message)


def _candidate(row: Row, columns: Columns) -> Candidate:
    address = _address(columns.url, _text(row, columns.url))
    text = _text(row, columns.text)
    if text is not None and len(text) > MAX_TEXT_CHARACTERS:
        raise _Wrong(columns.text, text, f"has {len(text)} characters, at most {MAX_TEXT_CHARACTERS}")
    page = (_text(row, columns.page) or "").strip()
    url = Url(
        candidate_id=imported_candidate_id(address.url_id, [text] if text else []),
        url_id=address.url_id,
        address=address.request,
        provider=PROVIDER,
        alt_text=text or None,
        entity_id=(_text(row, columns.entity) or "").strip() or None,
        page_url=_address(columns.page or "", page).request if page else None,
    )
    return Candidate(row.line, url, address.host_key, text)


def _address(column: str, text: str | None) -> WebAddress:
    if not text or not text.strip():
        raise _Wrong(column, text or "", "is empty")
    try:
        return parse_address(text)
    except BadAddress as exc:
        raise _Wrong(column, text, str(exc)) from exc


def _text(row: Row, column: str | None) -> str | None:
    """The value of a column as text that can be written; None where there is none."""
    value = row.values.get(column) if column is not None else None
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Wrong(column, value, f"is no text but {type(value).__name__}")
    if NO_TEXT_BYTES.search(value):
        raise _Wrong(column, value, "holds bytes that are no UTF-8")
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
