"""The handler of `fingerprint`: judges a batch, remembers it, and answers on `match`.

The state is written before the answers are sent, and the offset is committed after they are acknowledged. So a kill
leaves the state ahead of the commit, and the fingerprints between are answered again, the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import cast

import structlog

from entityflow.heldout import is_heldout
from entityflow.metrics import INDEX_HOT_ROWS, INDEX_VERDICTS
from entityflow.records import Fingerprint, Match, Record
from entityflow.stage import Batch, Received, Send
from services.index.state import DiskState
from services.index.verdicts import Judge, Registered

RESTORE_RECORDS = 2000

OpenState = Callable[[], DiskState]
Committed = Callable[[], int]
Answers = Callable[[], Iterable[Match]]


class FingerprintHandler:
    """One for the one partition of `fingerprint`.

    committed: the group's committed offset. answers: every verdict ever given, read to the end of `match`.
    """

    def __init__(
        self, open_state: OpenState, committed: Committed, answers: Answers, row_limit: int, heldout_share: float
    ) -> None:
        self._open, self._committed, self._answers = open_state, committed, answers
        self._row_limit, self._heldout_share = row_limit, heldout_share

    def start(self) -> int | None:
        """Begin where the group stands; a state that is not as far is rebuilt from the answers."""
        self._state = self._open()
        self._judge = Judge(self._state, self._row_limit)
        committed, applied = self._committed(), self._state.applied
        if applied is None or applied < committed:
            self._rebuild(applied, committed)
        return None

    def _rebuild(self, applied: int | None, committed: int) -> None:
        log = structlog.get_logger()
        log.info("index_rebuild_started", applied=applied, committed=committed)
        count = 0
        for chunk in _chunks(filter(None, map(registered_of, self._answers()))):
            self._state.write(self._judge.restore(chunk), None)
            count += len(chunk)
        self._state.write(self._judge.restore(()), committed)
        log.info("index_rebuild_finished", verdicts=count, applied=committed)

    def step(self, batch: list[Received[Record]]) -> Batch:
        asked = [(received.message.offset, cast(Fingerprint, received.record)) for received in batch]
        answers, change = self._judge.judge(asked)
        end = asked[-1][0] + 1
        self._state.write(change, max(end, self._state.applied or 0))
        INDEX_HOT_ROWS.inc(change.hot_rows)
        sends = []
        for (seq, fingerprint), answer in zip(asked, answers, strict=True):
            INDEX_VERDICTS.labels(_verdict(answer)).inc()
            sends.append(Send("match", match_of(seq, fingerprint, answer, self._heldout_share)))
        return Batch(sends=sends)

    def tick(self) -> Batch | None:
        return None

    def close(self) -> None:
        self._state.close()


def match_of(seq: int, fingerprint: Fingerprint, answer: Registered | None, heldout_share: float) -> Match:
    """The record that answers a fingerprint; for an image that is not registered, with the asker's own origin."""
    heldout = is_heldout(fingerprint.image_id, heldout_share)
    if answer is None:
        return Match(image_id=fingerprint.image_id, origin=fingerprint.origin, seq=seq, heldout=heldout)
    return Match(
        image_id=answer.image_id,
        origin=answer.origin,
        hashes=answer.hashes,
        seq=answer.seq,
        canonical_id=answer.canonical_id,
        distance=answer.distance,
        heldout=heldout,
    )


def registered_of(match: Match) -> Registered | None:
    """What an answer says about the state; none where it said unknown."""
    if match.canonical_id is None or match.hashes is None or match.origin is None:
        return None
    return Registered(
        image_id=match.image_id,
        seq=match.seq,
        canonical_id=match.canonical_id,
        distance=match.distance,
        hashes=match.hashes,
        origin=match.origin,
    )


def _verdict(answer: Registered | None) -> str:
    if answer is None:
        return "unknown"
    return "canonical" if answer.is_canonical else "copy"


def _chunks(known: Iterable[Registered]) -> Iterator[list[Registered]]:
    rest = iter(known)
    while chunk := list(islice(rest, RESTORE_RECORDS)):
        yield chunk
