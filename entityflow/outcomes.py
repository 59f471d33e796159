"""How candidates ended, each counted once whatever was replayed: accepted, else merged, else its last reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from entityflow.records import Outcome

ACCEPTED = "accepted"
MERGED = "merged"
RANK = {ACCEPTED: 2, MERGED: 1}


def prevails(old: str | None, new: str) -> str:
    """Which of two results of the same candidate counts; `old` came first in the log."""
    if old is None or RANK.get(new, 0) >= RANK.get(old, 0):
        return new
    return old


class Endings:
    """The result of each candidate, folded from `outcome` records in the order of their partition."""

    def __init__(self, outcomes: Iterable[Outcome] = ()) -> None:
        self._results: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        for outcome in outcomes:
            self.add(outcome)

    def add(self, outcome: Outcome) -> None:
        old = self._results.get(outcome.candidate_id)
        new = prevails(old, outcome.result)
        if new == old:
            return
        if old is not None:
            self._counts[old] -= 1
        self._results[outcome.candidate_id] = new
        self._counts[new] += 1

    def __len__(self) -> int:
        return len(self._results)

    @property
    def counts(self) -> dict[str, int]:
        """Candidates by result, most first."""
        return {result: count for result, count in self._counts.most_common() if count}

    @property
    def accepted(self) -> int:
        return self._counts[ACCEPTED]

    @property
    def merged(self) -> int:
        return self._counts[MERGED]

    @property
    def dropped(self) -> dict[str, int]:
        """By reason, most first."""
        return {result: count for result, count in self.counts.items() if result not in RANK}
