"""Content-Usage (AIPREF) and Content-Signal: what a site lets its pictures be used for, in robots.txt and in headers.

A line holds `key=value` pairs, in robots.txt with a path before them. The wish about training counts; where there is
none, the wish about all use by machines that it is a part of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from services.fetcher.patterns import path_matches

NAMES = ("content-usage", "content-signal")
TRAINING = ("train-ai", "ai-train")
WIDER = ("ai", "tdm", "bots", "all")
NO = frozenset(("n", "no", "?0", "0", "false", "disallow", "deny"))

_PAIR = re.compile(r"(?:^|[\s,;])([a-z][a-z-]*)\s*=\s*\"?(\?[01]|[a-z0-9]+)", re.IGNORECASE)


def training_refused(text: str) -> bool | None:
    """Of one line without its path; none where it says nothing about training."""
    wishes = {key.lower(): value.lower() for key, value in _PAIR.findall(text)}
    for keys in (TRAINING, WIDER):
        values = [wishes[key] for key in keys if key in wishes]
        if values:
            return any(value in NO for value in values)
    return None


def refusal(lines: Iterable[tuple[str, str]], target: str) -> str | None:
    """Of the lines of a robots.txt, `name: value` of one that refuses training for the target.

    Of each name the longest path that matches counts, on a tie the refusal; one name that refuses is enough.
    """
    best: dict[str, tuple[int, bool, str]] = {}
    for name, value in lines:
        path, wishes = _parts(value)
        refused = training_refused(wishes)
        if name in NAMES and refused is not None and path_matches(path, target):
            best[name] = max(best.get(name, (-1, False, "")), (len(path), refused, value))
    return next((f"{name}: {value[:80]}" for name, (_, refused, value) in best.items() if refused), None)


def _parts(value: str) -> tuple[str, str]:
    if not value.startswith(("/", "*")):
        return "", value
    path, _, wishes = value.partition(" ")
    return path, wishes
