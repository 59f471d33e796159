"""Which format a list has: by its name, else by how it begins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from entityflow.errors import UserError
from entityflow.importing.lines import Line, encoding_of, first_bytes, inner_suffix, read_lines
from entityflow.importing.rows import MAX_ROW_BYTES, Fault, List, Row, shown
from entityflow.importing.separated import separated_list

SEPARATORS = {".tsv": "\t", ".tab": "\t"}
TEXT_LISTS = {".csv", *SEPARATORS}
JSON_LINES = {".jsonl", ".ndjson", ".json"}
PLAIN_LISTS = {".txt", ".lst", ".list", ".urls"}
PLAIN_COLUMN = "url"
PEEKED_ROWS = 100  # JSON rows that are looked at for names of columns


def open_list(path: Path) -> List:
    """The list in a file. Raises UserError where there is none."""
    if path.is_dir():
        raise UserError(f"{path} is a folder", hint="name one file of it")
    head = first_bytes(path)
    if not head:
        raise UserError(f"{path} is empty", hint="a list has one row an address")
    suffix = inner_suffix(path)
    if suffix == ".parquet" or head.startswith(b"PAR1"):
        from entityflow.importing.tables import parquet_list

        return parquet_list(path)
    if b"\0" in head and encoding_of(head)[1] == "utf-8" and suffix not in TEXT_LISTS | JSON_LINES:
        raise UserError(f"{path} is no list: it holds bytes that are no text", hint="CSV, TSV, JSONL, Parquet, or text")
    return _text_list(path, suffix)


def _text_list(path: Path, suffix: str) -> List:
    lines = read_lines(path)
    seen: list[Line] = []
    for line in lines:
        seen.append(line)
        if line.text.strip() or len(seen) == PEEKED_ROWS:
            break
    first = seen[-1].text.strip() if seen else ""
    lines = chain(seen[-1:], lines)  # blank lines before the header are no rows
    if suffix in JSON_LINES or (suffix not in TEXT_LISTS | PLAIN_LISTS and first.startswith("{")):
        if first.startswith("["):
            raise UserError(
                f"{path} is one JSON array", hint=f"one object a line: jq -c '.[]' {path.name} > list.jsonl"
            )
        return _json_list(path.name, lines)
    if suffix in PLAIN_LISTS or _is_address(first):
        return List(path.name, [PLAIN_COLUMN], _plain_rows(lines), plain=True)
    return separated_list(path.name, lines, SEPARATORS.get(suffix))


def _is_address(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _plain_rows(lines: Iterator[Line]) -> Iterator[Row | Fault]:
    for line in lines:
        if line.cut:
            yield _too_long(line)
        elif text := line.text.strip():
            yield Row(line.number, {PLAIN_COLUMN: text})


def _json_list(name: str, lines: Iterator[Line]) -> List:
    rows = (row for line in lines if (row := _json_row(line)) is not None)
    peeked = list(islice(rows, PEEKED_ROWS))
    columns = dict.fromkeys(column for row in peeked if isinstance(row, Row) for column in row.values)
    return List(name, list(columns), chain(peeked, rows))


def _json_row(line: Line) -> Row | Fault | None:
    if line.cut:
        return _too_long(line)
    if not line.text.strip():
        return None
    try:
        values = json.loads(line.text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as exc:
        return Fault(line.number, None, shown(line.text.strip()), f"is no JSON object: {exc}")
    if not isinstance(values, dict):
        return Fault(line.number, None, shown(line.text.strip()), "is no JSON object")
    return Row(line.number, values)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands in it twice")
    return values


def _too_long(line: Line) -> Fault:
    return Fault(line.number, None, shown(line.text), f"is longer than {MAX_ROW_BYTES} characters")
