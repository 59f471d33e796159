"""Which picture is a copy of which: a function of the fingerprint log alone.

An image is registered once, by its first fingerprint that passed: as a copy of the canonical of lowest seq within
distance 3 in pHash or dHash (and alike in detail), else as a canonical itself. Only canonicals enter the rows, so there
are no chains and a verdict never changes. Whatever a state knows from offsets after the one it is asked about is left
out: a replay, early or late, gives the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from entityflow.detail import alike
from entityflow.records import Fingerprint, Hashes, Origin
from services.index.blocks import FAMILIES, MAX_DISTANCE, Row, distance, row_keys, values


@dataclass(frozen=True, slots=True)
class Registered:
    """What is known of an image that passed once. seq: the offset of that fingerprint."""

    image_id: str
    seq: int
    canonical_id: str
    distance: int | None
    hashes: Hashes
    origin: Origin

    @property
    def is_canonical(self) -> bool:
        return self.canonical_id == self.image_id


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One canonical in a row: its seq, and its hash of the row's family."""

    seq: int
    value: int


class State(Protocol):
    """What the index remembers. Reads take many keys at once; writes are kept together by the caller."""

    def images(self, image_ids: Sequence[str]) -> dict[str, Registered]: ...

    def canonicals(self, seqs: Sequence[int]) -> dict[int, Registered]: ...

    def rows(self, keys: Sequence[Row]) -> dict[Row, list[Entry]]: ...


@dataclass(frozen=True, slots=True)
class Change:
    """What a batch adds to the state."""

    registered: Sequence[Registered]
    rows: Mapping[Row, list[Entry]]
    hot_rows: int  # entries that found their row full


class Judge:
    """Judges a batch in order, over a state that is read once for the whole batch."""

    def __init__(self, state: State, row_limit: int) -> None:
        self._state, self._row_limit = state, row_limit

    def judge(self, batch: Sequence[tuple[int, Fingerprint]]) -> tuple[list[Registered | None], Change]:
        """The answer to each (offset, fingerprint): none = unknown. And what the state must take up with them."""
        view = _View(self._state, batch)
        answers = [self._one(view, seq, fingerprint) for seq, fingerprint in batch]
        return answers, view.change()

    def restore(self, known: Iterable[Registered]) -> Change:
        """What the state must take up of verdicts that were given before, in any order."""
        registered = list(known)
        view = _View(self._state, [])
        view.read_rows([one.hashes for one in registered if one.is_canonical])
        for one in registered:
            view.add(one, self._row_limit)
        return view.change()

    def _one(self, view: _View, seq: int, fingerprint: Fingerprint) -> Registered | None:
        known = view.image(fingerprint.image_id)
        if known is not None and known.seq <= seq:
            return known
        if fingerprint.hashes is None or not fingerprint.passed:
            return None
        nearest = self._nearest(view, seq, fingerprint.hashes)
        new = Registered(
            image_id=fingerprint.image_id,
            seq=seq,
            canonical_id=nearest[0].image_id if nearest else fingerprint.image_id,
            distance=nearest[1] if nearest else None,
            hashes=fingerprint.hashes,
            origin=fingerprint.origin,
        )
        view.add(new, self._row_limit)
        return new

    def _nearest(self, view: _View, seq: int, hashes: Hashes) -> tuple[Registered, int] | None:
        """The canonical of lowest seq that this may be a copy of, and its distance; not the closest one."""
        mine = values(hashes)
        near: dict[int, int] = {}
        for family, keys in row_keys(hashes).items():
            for entry in (entry for key in keys for entry in view.row(key) if entry.seq < seq):
                apart = distance(mine[family], entry.value)
                if apart <= MAX_DISTANCE:
                    near[entry.seq] = min(apart, near.get(entry.seq, apart))
        for found in sorted(near):
            canonical = view.canonical(found)
            if canonical is not None and alike(canonical.hashes.detail, hashes.detail):
                return canonical, near[found]
        return None


class _View:
    """The state as the batch sees it: what was read before, and what the batch itself has added."""

    def __init__(self, state: State, batch: Sequence[tuple[int, Fingerprint]]) -> None:
        self._state = state
        self._images = state.images([fingerprint.image_id for _, fingerprint in batch])
        self._canonicals: dict[int, Registered] = {}
        self._rows: dict[Row, list[Entry]] = {}
        self._added: list[Registered] = []
        self._touched: dict[Row, list[Entry]] = {}
        self._hot_rows = 0
        self.read_rows(
            fingerprint.hashes
            for _, fingerprint in batch
            if fingerprint.passed and fingerprint.hashes and fingerprint.image_id not in self._images
        )

    def read_rows(self, wanted: Iterable[Hashes]) -> None:
        keys = {key for hashes in wanted for family in row_keys(hashes).values() for key in family}
        self._rows.update(self._state.rows(sorted(keys)))

    def image(self, image_id: str) -> Registered | None:
        return self._images.get(image_id)

    def row(self, key: Row) -> list[Entry]:
        if key not in self._rows:
            self._rows.update(self._state.rows([key]))
        return self._rows.setdefault(key, [])

    def canonical(self, seq: int) -> Registered | None:
        if seq not in self._canonicals:
            self._canonicals.update(self._state.canonicals([seq]))
        return self._canonicals.get(seq)

    def add(self, new: Registered, row_limit: int) -> None:
        self._images[new.image_id] = new
        self._added.append(new)
        if not new.is_canonical:
            return
        self._canonicals[new.seq] = new
        keys = row_keys(new.hashes)
        for family in FAMILIES:
            for key in keys.get(family, ()):
                self._enter(key, Entry(new.seq, values(new.hashes)[family]), row_limit)

    def _enter(self, key: Row, entry: Entry, row_limit: int) -> None:
        """Keep the row sorted by seq; a full one keeps the lowest."""
        row = self.row(key)
        if entry in row:
            return
        row.append(entry)
        row.sort()
        if len(row) > row_limit:
            self._hot_rows += 1
            del row[row_limit:]
        self._touched[key] = row

    def change(self) -> Change:
        return Change(registered=self._added, rows=self._touched, hot_rows=self._hot_rows)
