"""Keys under which near hashes meet: two of five blocks of a 64-bit hash.

Three differing bits touch at most three of the five blocks, so that any two hashes within distance 3 share two of them
(pigeonhole; measured against 1-of-4 and 3-of-6 in Manku et al. 2007's manner: few candidates, ten keys a hash).
"""

from __future__ import annotations

from itertools import combinations

from entityflow.records import Hashes

MAX_DISTANCE = 3
WIDTHS = (13, 13, 13, 13, 12)
PAIRS = tuple(combinations(range(len(WIDTHS)), 2))
SHIFTS = tuple(sum(WIDTHS[:block]) for block in range(len(WIDTHS)))
FAMILIES = ("p", "d")

Row = bytes  # the key of a row


def block_keys(family: str, version: int, value: int) -> list[Row]:
    """The ten rows in which a 64-bit hash lies: family, version and combination, then the bits of both blocks."""
    blocks = [(value >> shift) & ((1 << width) - 1) for shift, width in zip(SHIFTS, WIDTHS, strict=True)]
    return [
        f"{family}{version}.{number}".encode() + ((blocks[one] << 13) | blocks[other]).to_bytes(4, "big")
        for number, (one, other) in enumerate(PAIRS)
    ]


def values(hashes: Hashes) -> dict[str, int]:
    """Both hashes as numbers, by family."""
    return {"p": int(hashes.phash, 16), "d": int(hashes.dhash, 16)}


def row_keys(hashes: Hashes) -> dict[str, list[Row]]:
    """All twenty rows of a picture, by family; none for one that is too plain to be compared."""
    if hashes.low_detail:
        return {}
    return {family: block_keys(family, hashes.version, value) for family, value in values(hashes).items()}


def distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()
