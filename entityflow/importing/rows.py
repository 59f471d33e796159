"""What every format of a list gives: its columns, and its rows in order, each whole or with its fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from entityflow.errors import UsageError

MAX_ROW_BYTES = 1 << 20
SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """`line` is where the row begins in a text file, the number of the row in Parquet; both from 1."""

    line: int
    values: dict[str, object]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is not used. `value` is what stands there, shortened, as printable text."""

    line: int
    column: str | None
    value: str
    message: str


@dataclass(frozen=True)
class List:
    """An opened list. `types` names the columns that hold no text, with what they hold.

    plain: the file has one address a line and no header; its only column may be asked for under any name.
    """

    name: str
    columns: Sequence[str]
    rows: Iterator[Row | Fault]
    types: dict[str, str] = field(default_factory=dict)
    plain: bool = False

    def require(self, option: str, column: str) -> None:
        """Raises UsageError, with the cure, unless the list has this column once and as text."""
        known = ", ".join(dict.fromkeys(self.columns)) or "none"
        if column not in self.columns:
            raise UsageError(
                f"{self.name} has no column {column!r}; its columns: {known}", hint=self._near(option, column)
            )
        if self.columns.count(column) > 1:
            raise UsageError(
                f"{self.name} has the column {column!r} {self.columns.count(column)} times",
                hint="give each of them a name of its own in the header",
            )
        if column in self.types:
            raise UsageError(
                f"{self.name}: the column {column!r} holds {self.types[column]}, not text",
                hint=f"name a column of texts with {option}; its columns: {known}",
            )

    def _near(self, option: str, column: str) -> str:
        by_folded = {name.casefold(): name for name in self.columns}
        near = get_close_matches(column.casefold(), by_folded, n=1)
        return f"did you mean {option} {by_folded[near[0]]}?" if near else f"name one of them with {option}"


def shown(value: object) -> str:
    """A value as a person may see it: bytes that are no text as escapes, shortened."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
