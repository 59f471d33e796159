"""Which accepted pictures are too near to a guarded one by all that is known now, read from `match`; no download."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from entityflow.heldout import HELDOUT, is_heldout
from entityflow.records import Amend, Match
from services.index.answering import verdict_of
from services.index.guarded import MAX_NEAR_DISTANCE, Guarded, GuardedPictures, Near
from services.index.verdicts import Cuts, Registered

EVER = 1 << 62  # a seq after all
DECONTAMINATE, BENCHMARK, NEAR_HELDOUT = "decontaminate", "benchmark", "near-heldout"

Answers = Callable[[], Iterable[Match]]


@dataclass(frozen=True, slots=True)
class Finding:
    """An accepted picture, and what it is too near to."""

    image_id: str
    reason: str
    name: str
    distance: int

    def amend(self) -> Amend:
        """What takes the sample out of the next version of its shard."""
        return Amend(image_id=self.image_id, kind=DECONTAMINATE, reason=self.reason, distance=self.distance)


def findings(answers: Answers, cuts: Cuts) -> Iterator[Finding]:
    """Each accepted picture once. `answers` is gone through twice: what is guarded must be known before the first."""
    guarded = GuardedPictures(_guarded(answers(), cuts.heldout_share))
    told: set[str] = set()
    for known in _canonicals(answers()):
        finding = _finding(known, guarded, cuts)
        if finding is not None and finding.image_id not in told:
            told.add(finding.image_id)
            yield finding


def _canonicals(answers: Iterable[Match]) -> Iterator[Registered]:
    for match in answers:
        verdict = verdict_of(match)
        if isinstance(verdict, Registered) and verdict.is_canonical:
            yield verdict


def _guarded(answers: Iterable[Match], heldout_share: float) -> Iterable[Guarded]:
    """By seq, each once: the topic may hold an answer several times."""
    found: dict[int, Guarded] = {}
    for match in answers:
        verdict = verdict_of(match)
        if isinstance(verdict, Guarded):
            found[verdict.seq] = verdict
        elif verdict is not None and verdict.is_canonical and _guards(verdict, heldout_share):
            found[verdict.seq] = Guarded(seq=verdict.seq, name=HELDOUT, version=0, hashes=verdict.hashes)
    return found.values()


def _guards(known: Registered, heldout_share: float) -> bool:
    return not known.hashes.low_detail and is_heldout(known.image_id, heldout_share)


def _finding(known: Registered, guarded: GuardedPictures, cuts: Cuts) -> Finding | None:
    benchmark, heldout = guarded.nearest(known.hashes, EVER)
    if benchmark is not None and benchmark.distance <= cuts.max_benchmark_distance:
        return _found(known, BENCHMARK, benchmark)
    trained = not is_heldout(known.image_id, cuts.heldout_share)
    if trained and heldout is not None and heldout.distance <= MAX_NEAR_DISTANCE:
        return _found(known, NEAR_HELDOUT, heldout)
    return None


def _found(known: Registered, reason: str, near: Near) -> Finding:
    return Finding(known.image_id, reason, near.guarded.name, near.distance)
