"""Which picture is a copy of which: a function of the fingerprint log alone.

An image is registered once, by its first fingerprint that passed: as a copy of the canonical of lowest seq within
distance 3 in pHash or dHash (and alike in detail), else as a canonical itself, unless it is too near to a benchmark's
picture or to one that is held out: then it is refused, and remembered nowhere. Only canonicals enter the rows, so there
are no chains and a verdict never changes. Whatever a state knows from offsets after the one it is asked about is left
out: a replay, early or late, gives the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from entityflow.detail import alike
from entityflow.heldout import HELDOUT, is_heldout
from entityflow.records import Benchmark, Fingerprint, Hashes, Origin
from services.index.blocks import FAMILIES, MAX_DISTANCE, Row, distance, row_keys, values
from services.index.guarded import MAX_NEAR_DISTANCE, Guarded, GuardedPictures

NOTHING_ALIKE = 64  # the distance where no benchmark has anything alike


@dataclass(frozen=True, slots=True)
class Registered:
    """What is known of an image that passed once. seq: the offset of that fingerprint.

    benchmark: of a canonical, the nearest picture of a benchmark as they were known then.
    """

    image_id: str
    seq: int
    canonical_id: str
    distance: int | None
    hashes: Hashes
    origin: Origin
    benchmark: Benchmark | None = None

    @property
    def is_canonical(self) -> bool:
        return self.canonical_id == self.image_id


@dataclass(frozen=True, slots=True)
class Refused:
    """Too near to a picture of a benchmark, or to one that is held out."""

    nearest: Benchmark


Verdict = Registered | Refused | Guarded | None


@dataclass(frozen=True, slots=True)
class Cuts:
    """How near to guarded pictures is too near, in bits; -1 = nothing is."""

    heldout_share: float = 0.0
    max_benchmark_distance: int = MAX_NEAR_DISTANCE
    max_heldout_distance: int = MAX_NEAR_DISTANCE


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

    def guarded(self) -> Iterable[Guarded]: ...


@dataclass(frozen=True, slots=True)
class Change:
    """What a batch adds to the state."""

    registered: Sequence[Registered]
    rows: Mapping[Row, list[Entry]]
    hot_rows: int  # entries that found their row full
    guarded: Sequence[Guarded] = ()


class Judge:
    """Judges a batch in order, over a state that is read once for the whole batch."""

    def __init__(self, state: State, row_limit: int, cuts: Cuts = Cuts()) -> None:
        self._state, self._row_limit, self._cuts = state, row_limit, cuts
        self._guarded = GuardedPictures(state.guarded())

    def judge(self, batch: Sequence[tuple[int, Fingerprint]]) -> tuple[list[Verdict], Change]:
        """The answer to each (offset, fingerprint): none = unknown. And what the state must take up with them."""
        view = _View(self._state, batch)
        answers = [self._one(view, seq, fingerprint) for seq, fingerprint in batch]
        return answers, view.change()

    def restore(self, known: Iterable[Registered | Guarded]) -> Change:
        """What the state must take up of verdicts that were given before, in any order; judges are made anew then."""
        verdicts = list(known)
        registered = [one for one in verdicts if isinstance(one, Registered)]
        view = _View(self._state, [])
        view.read_rows([one.hashes for one in registered if one.is_canonical])
        for one in registered:
            view.add(one, self._row_limit)
            if guarded := self._heldout(one):
                view.guard(guarded)
        for benchmarked in verdicts:
            if isinstance(benchmarked, Guarded):
                view.guard(benchmarked)
        return view.change()

    def _one(self, view: _View, seq: int, fingerprint: Fingerprint) -> Verdict:
        if fingerprint.benchmark is not None:
            return self._benchmarked(view, seq, fingerprint, fingerprint.benchmark)
        known = view.image(fingerprint.image_id)
        if known is not None and known.seq <= seq:
            return known
        if fingerprint.hashes is None or not fingerprint.passed:
            return None
        return self._first(view, seq, fingerprint, fingerprint.hashes)

    def _first(self, view: _View, seq: int, fingerprint: Fingerprint, hashes: Hashes) -> Registered | Refused:
        original = self._nearest(view, seq, hashes)
        nearest = None
        if original is None:
            nearest, is_too_near = self._nearest_guarded(seq, hashes)
            if nearest is not None and is_too_near:
                return Refused(nearest)
        new = Registered(
            image_id=fingerprint.image_id,
            seq=seq,
            canonical_id=original[0].image_id if original else fingerprint.image_id,
            distance=original[1] if original else None,
            hashes=hashes,
            origin=fingerprint.origin,
            benchmark=nearest,
        )
        view.add(new, self._row_limit)
        if guarded := self._heldout(new):
            self._guard(view, guarded)
        return new

    def _nearest_guarded(self, seq: int, hashes: Hashes) -> tuple[Benchmark | None, bool]:
        """What is kept with a pair, none where no benchmark was ever added; and whether it is too near to be one."""
        benchmark, heldout = self._guarded.nearest(hashes, seq)
        version = self._guarded.version(seq)
        if benchmark is not None:
            too_near = benchmark.distance <= self._cuts.max_benchmark_distance
            found = Benchmark(index_version=version, name=benchmark.guarded.name, distance=benchmark.distance)
            if too_near:
                return found, True
        if heldout is not None and heldout.distance <= self._cuts.max_heldout_distance:
            return Benchmark(index_version=0, name=HELDOUT, distance=heldout.distance), True
        if benchmark is not None:
            return found, False
        return (Benchmark(index_version=version, name="", distance=NOTHING_ALIKE) if version else None), False

    def _benchmarked(self, view: _View, seq: int, fingerprint: Fingerprint, benchmark: Benchmark) -> Guarded | None:
        """A benchmark's picture: guarded from now on. The same one again keeps its first seq."""
        if fingerprint.hashes is None or fingerprint.hashes.low_detail:
            return None
        known = self._guarded.same(benchmark.name, fingerprint.hashes)
        if known is not None:
            return known
        new = Guarded(seq=seq, name=benchmark.name, version=benchmark.index_version, hashes=fingerprint.hashes)
        self._guard(view, new)
        return new

    def _guard(self, view: _View, new: Guarded) -> None:
        self._guarded.add(new)
        view.guard(new)

    def _heldout(self, known: Registered) -> Guarded | None:
        """A canonical that is held out guards itself."""
        if (
            not known.is_canonical
            or known.hashes.low_detail
            or not is_heldout(known.image_id, self._cuts.heldout_share)
        ):
            return None
        return Guarded(seq=known.seq, name=HELDOUT, version=0, hashes=known.hashes)

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
        self._guarded: list[Guarded] = []
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

    def guard(self, new: Guarded) -> None:
        self._guarded.append(new)

    def change(self) -> Change:
        return Change(registered=self._added, rows=self._touched, hot_rows=self._hot_rows, guarded=tuple(self._guarded))
