"""Paths as robots.txt writes them: a prefix with `*` for anything and `$` for the end (RFC 9309, 2.2.3)."""

from __future__ import annotations


def path_matches(pattern: str, target: str) -> bool:
    """In time that grows with the length of both alone, whatever a stranger wrote."""
    ends = pattern.endswith("$")
    first, *rest = (pattern[:-1] if ends else pattern).split("*")
    if not target.startswith(first):
        return False
    if not rest:
        return not ends or len(target) == len(first)
    at = len(first)
    for part in rest[:-1] if ends else rest:
        found = target.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return not ends or (len(target) - len(rest[-1]) >= at and target.endswith(rest[-1]))
