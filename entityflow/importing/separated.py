"""CSV and its kin: quoted line ends belong to the value, a row that cannot be read is one fault and not the end."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

from entityflow.importing.lines import Line
from entityflow.importing.rows import MAX_ROW_BYTES, Fault, List, Row, shown

SEPARATORS = (",", "\t", ";", "|")
NO_SEPARATOR = "\x1f"  # a list of one column is not split: addresses hold commas and blanks


def separated_list(name: str, lines: Iterator[Line], separator: str | None) -> List:
    """A list whose first row names its columns. Without `separator` it is the one that splits the header most."""
    feed = _Feed(lines)
    header = feed.peek()
    chosen = separator or max(SEPARATORS, key=lambda mark: len(_cells(header, mark)))
    if len(_cells(header, chosen)) < 2:
        chosen = NO_SEPARATOR
    rows = _rows(feed, chosen)
    first = next(rows, None)
    columns = [cell.strip("\ufeff \t") for cell in first[1]] if isinstance(first, tuple) else []
    return List(name, columns, _named(rows, columns))


def _cells(header: str, separator: str) -> list[str]:
    """The cells of a header, for the choice of a separator; one that is no row has none, as its reading tells."""
    try:
        return next(csv.reader([header], delimiter=separator), [])
    except csv.Error:
        return []


class _Feed:
    """Lines for the reader of one row; what a row took in vain is given back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines, self._back = lines, deque[Line]()
        self.taken: list[Line] = []
        self._size = 0
        self.ran_out = False

    def begin(self) -> None:
        self.taken, self._size, self.ran_out = [], 0, False

    def give_back(self) -> None:
        """All but the first line: a quote that never closes is the fault of one row."""
        self._back.extendleft(reversed(self.taken[1:]))

    def peek(self) -> str:
        line = next(self._lines, None)
        if line is None:
            return ""
        self._back.append(line)
        return line.text

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = None if self._size > MAX_ROW_BYTES else self._next()
        if line is None:
            self.ran_out = True
            raise StopIteration
        self.taken.append(line)
        self._size += len(line.text)
        return line.text

    def _next(self) -> Line | None:
        return self._back.popleft() if self._back else next(self._lines, None)


def _rows(feed: _Feed, separator: str) -> Iterator[tuple[int, list[str]] | Fault]:
    csv.field_size_limit(2 * MAX_ROW_BYTES)
    while True:
        feed.begin()
        cells, wrong = [], ""
        try:
            cells = next(csv.reader(feed, delimiter=separator, strict=True), [])
        except csv.Error as exc:
            wrong = f"is no row: {exc}"
        if not feed.taken:
            return
        if feed.ran_out:
            feed.give_back()
            wrong = "a quote is never closed"
        elif any(line.cut for line in feed.taken):
            wrong = f"is longer than {MAX_ROW_BYTES} characters"
        first = feed.taken[0]
        if wrong:
            yield Fault(first.number, None, shown(first.text.rstrip("\r\n")), wrong)
        elif cells:
            yield first.number, cells


def _named(rows: Iterator[tuple[int, list[str]] | Fault], columns: list[str]) -> Iterator[Row | Fault]:
    for row in rows:
        if isinstance(row, Fault):
            yield row
            continue
        line, cells = row
        if len(cells) != len(columns):
            yield Fault(line, None, shown(cells), f"has {len(cells)} fields, the header has {len(columns)}")
        else:
            yield Row(line, dict(zip(columns, cells, strict=True)))
