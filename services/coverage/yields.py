"""What an entity's candidates came to, and what follows from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from entityflow.outcomes import ACCEPTED, MERGED, prevails
from entityflow.records import Coverage, Outcome

ENOUGH, SEARCH_MORE, EXHAUSTED = "enough", "search-more", "exhausted"


@dataclass(frozen=True)
class Target:
    """pairs: accepted candidates that are enough; rounds: how often more may be searched for one entity."""

    pairs: int
    rounds: int


class Yield:
    """The candidates of one entity, each counted once, whatever was replayed and in whatever order its ends came."""

    def __init__(self) -> None:
        self._results: dict[bytes, str] = {}
        self._round = 0

    def add(self, outcome: Outcome) -> bool:
        """Whether anything changed."""
        candidate = bytes.fromhex(outcome.candidate_id)
        old = self._results.get(candidate)
        new = prevails(old, outcome.result)
        changed = new != old or outcome.round > self._round
        self._results[candidate] = new
        self._round = max(self._round, outcome.round)
        return changed

    def coverage(self, entity_id: str, target: Target) -> Coverage:
        counts = Counter(self._results.values())
        accepted, merged = counts.pop(ACCEPTED, 0), counts.pop(MERGED, 0)
        return Coverage(
            entity_id=entity_id,
            round=self._round,
            candidates=len(self._results),
            accepted=accepted,
            merged=merged,
            dropped=sum(counts.values()),
            decision=decide(accepted, self._round, target),
        )


def decide(accepted: int, round_: int, target: Target) -> str:
    """Enough pairs end the search for an entity; so does the last round."""
    if accepted >= target.pairs:
        return ENOUGH
    return SEARCH_MORE if round_ < target.rounds else EXHAUSTED
