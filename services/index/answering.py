"""The handler of `fingerprint`: judges a batch, remembers it, and answers on `match`.

The state is written before the answers are sent, and the offset is committed after they are acknowledged. So a kill
leaves the state ahead of the commit, and the fingerprints between are answered again, the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

import structlog

from entityflow.heldout import is_heldout
from entityflow.metrics import INDEX_HOT_ROWS, INDEX_VERDICTS
from entityflow.records import Benchmark, Fingerprint, Match, Record
from entityflow.stage import Batch, Received, Send
from services.index.guarded import Guarded
from services.index.snapshots import Snapshots
from services.index.state import DiskState
from services.index.verdicts import Cuts, Judge, Refused, Registered, Verdict

RESTORE_RECORDS = 2000

OpenState = Callable[[], DiskState]


@dataclass(frozen=True, slots=True)
class Log:
    """What is asked of the broker. answers: every verdict ever given, read to the end of `match`."""

    committed: Callable[[], int]
    earliest: Callable[[], int]
    answers: Callable[[], Iterable[Match]]


class FingerprintHandler:
    """One for the one partition of `fingerprint`."""

    def __init__(self, open_state: OpenState, log: Log, snapshots: Snapshots, row_limit: int, cuts: Cuts) -> None:
        self._open, self._log, self._snapshots = open_state, log, snapshots
        self._row_limit, self._cuts = row_limit, cuts

    def start(self) -> int | None:
        """Begin where the group stands, or where the state stands if the log still reaches back to it.

        A state that is lost is taken from a snapshot; what is too old for the log is rebuilt from the answers.
        """
        committed = self._log.committed()
        self._state = self._open()
        if self._state.applied is None and committed > 0:
            self._state.close()
            self._snapshots.restore()
            self._state = self._open()
        applied = self._state.applied
        first = None
        if applied is None or applied < committed:
            if applied is not None and applied >= self._log.earliest():
                first = applied
            else:
                self._rebuild(applied, committed)
        self._judge = self._made_judge()
        return first

    def _made_judge(self) -> Judge:
        return Judge(self._state, self._row_limit, self._cuts)

    def _rebuild(self, applied: int | None, committed: int) -> None:
        log = structlog.get_logger()
        log.info("index_rebuild_started", applied=applied, committed=committed)
        count, judge = 0, self._made_judge()
        for chunk in _chunks(filter(None, map(verdict_of, self._log.answers()))):
            self._state.write(judge.restore(chunk), None)
            count += len(chunk)
        self._state.write(judge.restore(()), committed)
        log.info("index_rebuild_finished", verdicts=count, applied=committed)

    def step(self, batch: list[Received[Record]]) -> Batch:
        asked = [(received.message.offset, cast(Fingerprint, received.record)) for received in batch]
        answers, change = self._judge.judge(asked)
        end = asked[-1][0] + 1
        self._state.write(change, max(end, self._state.applied or 0))
        INDEX_HOT_ROWS.inc(change.hot_rows)
        sends = []
        for (seq, fingerprint), answer in zip(asked, answers, strict=True):
            INDEX_VERDICTS.labels(_word(answer)).inc()
            sends.append(Send("match", match_of(seq, fingerprint, answer, self._cuts.heldout_share)))
        return Batch(sends=sends)

    def tick(self) -> Batch | None:
        self._snapshots.take_when_due(self._state)
        return None

    def close(self) -> None:
        self._state.close()


def match_of(seq: int, fingerprint: Fingerprint, answer: Verdict, heldout_share: float) -> Match:
    """The record that answers a fingerprint; for an image that is not registered, with the asker's own origin."""
    match answer:
        case Registered():
            return Match(
                image_id=answer.image_id,
                origin=answer.origin,
                hashes=answer.hashes,
                seq=answer.seq,
                canonical_id=answer.canonical_id,
                distance=answer.distance,
                benchmark=answer.benchmark,
                heldout=is_heldout(fingerprint.image_id, heldout_share),
            )
        case Guarded():
            return Match(
                image_id=fingerprint.image_id,
                hashes=answer.hashes,
                seq=answer.seq,
                benchmark=Benchmark(index_version=answer.version, name=answer.name, distance=0),
            )
    return Match(
        image_id=fingerprint.image_id,
        origin=fingerprint.origin,
        seq=seq,
        benchmark=answer.nearest if answer else None,
        heldout=is_heldout(fingerprint.image_id, heldout_share),
    )


def verdict_of(match: Match) -> Registered | Guarded | None:
    """What an answer says about the state; none where it said unknown or refused."""
    if match.hashes is None:
        return None
    if match.canonical_id is not None and match.origin is not None:
        return Registered(
            image_id=match.image_id,
            seq=match.seq,
            canonical_id=match.canonical_id,
            distance=match.distance,
            hashes=match.hashes,
            origin=match.origin,
            benchmark=match.benchmark,
        )
    if match.benchmark is not None:
        version, name = match.benchmark.index_version, match.benchmark.name
        return Guarded(seq=match.seq, name=name, version=version, hashes=match.hashes)
    return None


def _word(answer: Verdict) -> str:
    match answer:
        case Registered():
            return "canonical" if answer.is_canonical else "copy"
        case Refused():
            return "refused"
        case Guarded():
            return "benchmark"
    return "unknown"


def _chunks(known: Iterable[Registered | Guarded]) -> Iterator[list[Registered | Guarded]]:
    rest = iter(known)
    while chunk := list(islice(rest, RESTORE_RECORDS)):
        yield chunk
