"""How sure a share is that was counted on few pictures."""

from __future__ import annotations

from math import sqrt

Z95 = 1.959964


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score: honest for small counts and near 0 and 1."""
    if not count:
        return 0.0, 1.0
    share, square = hits / count, Z95 * Z95
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = Z95 / (1 + square / count) * sqrt(share * (1 - share) / count + square / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)
