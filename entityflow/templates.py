"""Texts with names in braces, as the tables of search providers have them. Nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

NAME = re.compile(r"\{([^{}]+)\}")


def placeholders(*texts: str) -> list[str]:
    """The names in braces, in order."""
    return [name for text in texts for name in NAME.findall(text)]


def filled(text: str, values: Mapping[str, str]) -> str | None:
    """The text with its values, without outer blanks; none where it has names in braces and none of them a value."""
    names = NAME.findall(text)
    if names and not any(values.get(name) for name in names):
        return None
    return replaced(text, lambda name: values.get(name, "")).strip()


def replaced(text: str, value: Callable[[str], str]) -> str:
    return NAME.sub(lambda found: value(found[1]), text)
