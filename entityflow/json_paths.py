"""Paths into JSON, as the tables of providers have them: `a.0.b`; `a[*]` each of a list or object; `^a` one level up.

Nothing that an answer holds is an error here: a path that leads nowhere gives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

STEP = re.compile(r"[^.\[\]]+|\[\*\]")
EACH = "[*]"


@dataclass(frozen=True, slots=True)
class Place:
    """A value, and the ones around it that a `[*]` went through, outermost first."""

    value: Any
    around: tuple[Any, ...] = ()

    def find(self, path: str) -> Any:
        """What a path without `[*]` leads to; none where it leads nowhere."""
        up = len(path) - len(path.lstrip("^"))
        if up > len(self.around):
            return None
        value = self.around[-up] if up else self.value
        for step in steps(path.lstrip("^.")):
            value = _inside(value, step)
        return value


def places(document: Any, path: str) -> Iterator[Place]:
    """Every value that the path leads to, in order."""
    return _walk(Place(document), steps(path))


def exists(document: Any, path: str) -> bool:
    """Whether the path is there: up to its first `[*]`, which wants a list or an object."""
    before, each, _ = path.partition(EACH)
    value = Place(document).find(before)
    return isinstance(value, list | dict) if each else value is not None


@cache
def steps(path: str) -> tuple[str, ...]:
    """Raises ValueError for what is no path."""
    found = STEP.findall(path)
    if ".".join(found).replace(f".{EACH}", EACH) != path:
        raise ValueError(f"{path!r} is no path such as name.0.name or name[*]")
    return tuple(found)


def _walk(base: Place, rest: tuple[str, ...]) -> Iterator[Place]:
    value = base.value
    for number, step in enumerate(rest):
        if step == EACH:
            inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            for item in inner:
                yield from _walk(Place(item, (*base.around, base.value)), rest[number + 1 :])
            return
        value = _inside(value, step)
    yield base if value is base.value else Place(value, (*base.around, base.value))


def _inside(value: Any, step: str) -> Any:
    if isinstance(value, list):
        return value[int(step)] if step.isdecimal() and int(step) < len(value) else None
    return value.get(step) if isinstance(value, dict) else None
