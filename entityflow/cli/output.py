"""What commands print: data on stdout, everything else on stderr, lines where there is no terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

SCHEMA = 1


def print_json(document: Mapping[str, Any]) -> None:
    """One document on stdout; `schema` tells scripts which shape it has: fields are only ever added."""
    print(json.dumps({"schema": SCHEMA, **document}, ensure_ascii=False, indent=2))


def say(text: str) -> None:
    """A line for the person who watches."""
    print(text, file=sys.stderr, flush=True)


def print_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns on stdout: aligned on a terminal, separated by tabs when piped."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            print("\t".join(row))
        return
    numeric = [all(_is_number(row[i]) for row in cells) for i in range(len(titles))]
    widths = [max([len(titles[i]), *(len(row[i]) for row in cells)]) for i in range(len(titles))]
    for row in [list(titles), *cells]:
        print(
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            ).rstrip()
        )


def _is_number(text: str) -> bool:
    return text in ("", "-") or text.replace(".", "", 1).replace(",", "").replace("%", "").lstrip("-").isdigit()


class Steps:
    """Names each step of a long command, and the seconds that it took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        say(f"{name} ...")
        begun = time.monotonic()
        try:
            yield
        except BaseException:
            say(f"{name} failed after {time.monotonic() - begun:.1f} s")
            raise
        self.seconds[name] = round(time.monotonic() - begun, 1)
        say(f"{name} ok, {self.seconds[name]:.1f} s")
