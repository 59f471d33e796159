"""Pictures that training pictures must keep away from: those of benchmarks, and held-out samples.

Copies that were cropped or written upon lie further off than duplicates do, so that no rows help: every guarded picture
is looked at, by counting bits over arrays. A hundred thousand guarded pictures cost 0.2 ms a picture.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from entityflow.detail import alike
from entityflow.heldout import HELDOUT
from entityflow.records import Hashes

MAX_NEAR_DISTANCE = 10  # to a held-out picture
# Of 1,073 drawings, renderings and photographs 115 have another one within 10 bits; 21 where it must also be half as
# alike in detail as a copy is. Cropped and written-upon copies pass.
NEAR_LOOSENESS = 2.0
MAX_LOOK_DISTANCE = 16  # the nearest one up to here is kept with a pair, for a cut that is set later
FIRST_ROOM = 1024


@dataclass(frozen=True, slots=True)
class Guarded:
    """seq: where in `fingerprint` it came; it counts for later ones. version: of the benchmark index; 0 = ours."""

    seq: int
    name: str
    version: int
    hashes: Hashes


@dataclass(frozen=True, slots=True)
class Near:
    guarded: Guarded
    distance: int


@dataclass
class _Column:
    """Guarded pictures of one version of the hashes, by seq."""

    entries: list[Guarded] = field(default_factory=list)
    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((2, FIRST_ROOM), dtype=np.uint64))

    def enter(self, new: Guarded) -> None:
        count = len(self.entries)
        if count == self.hashes.shape[1]:
            self.hashes = np.concatenate([self.hashes, np.zeros_like(self.hashes)], axis=1)
        place = bisect_left(self.entries, new.seq, key=_seq)
        self.hashes[:, place + 1 : count + 1] = self.hashes[:, place:count]
        self.hashes[:, place] = _numbers(new.hashes)
        self.entries.insert(place, new)

    def distances(self, hashes: Hashes, count: int) -> NDArray[np.uint8]:
        """To each of the first `count`, the smaller of both hashes' distances."""
        apart = np.bitwise_count(self.hashes[:, :count] ^ _numbers(hashes)[:, np.newaxis])
        nearest: NDArray[np.uint8] = apart.min(axis=0)
        return nearest


class GuardedPictures:
    """Grows only. A picture that is plain, or of other hashes, is near to none."""

    def __init__(self, known: Iterable[Guarded] = ()) -> None:
        self._columns: dict[int, _Column] = {}
        self._versions: list[tuple[int, int]] = []  # (seq, version) where a version was first seen
        for one in sorted(known, key=_seq):
            self.add(one)

    def add(self, new: Guarded) -> None:
        """One more; at the end for what is new."""
        self._columns.setdefault(new.hashes.version, _Column()).enter(new)
        if new.version > (self._versions[-1][1] if self._versions else 0):
            self._versions.append((new.seq, new.version))

    def same(self, name: str, hashes: Hashes) -> Guarded | None:
        """The picture of this name with exactly these hashes."""
        column = self._columns.get(hashes.version)
        if column is None:
            return None
        equal = np.nonzero(column.distances(hashes, len(column.entries)) == 0)[0]
        found = (column.entries[place] for place in equal)
        return next((one for one in found if one.name == name and one.hashes == hashes), None)

    def nearest(self, hashes: Hashes, before: int) -> tuple[Near | None, Near | None]:
        """Of those that came before a seq the nearest look-alike: of a benchmark, and held out."""
        column = self._columns.get(hashes.version)
        if column is None or hashes.low_detail:
            return None, None
        apart = column.distances(hashes, bisect_left(column.entries, before, key=_seq))
        benchmark = heldout = None
        close = np.nonzero(apart <= MAX_LOOK_DISTANCE)[0]
        for place in close[np.argsort(apart[close], kind="stable")]:
            near = Near(column.entries[place], int(apart[place]))
            if near.guarded.name == HELDOUT:
                heldout = heldout or _if_alike(near, hashes)
            else:
                benchmark = benchmark or _if_alike(near, hashes)
        return benchmark, heldout

    def version(self, before: int) -> int:
        """Of the benchmark index as it was before a seq; 0 without any benchmark."""
        place = bisect_left(self._versions, (before, 0))
        return self._versions[place - 1][1] if place else 0


def _if_alike(near: Near, hashes: Hashes) -> Near | None:
    return near if alike(near.guarded.hashes.detail, hashes.detail, NEAR_LOOSENESS) else None


def _seq(one: Guarded) -> int:
    return one.seq


def _numbers(hashes: Hashes) -> NDArray[np.uint64]:
    return np.array([int(hashes.phash, 16), int(hashes.dhash, 16)], dtype=np.uint64)
