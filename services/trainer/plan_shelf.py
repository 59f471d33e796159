"""Plans in the store: each is written once, before its first step, and never changed.

A group that was planned anew, because a shard of it was withdrawn, has more than one plan; the run's checkpoint says
which one was carried out.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.trainer.ledger import Ledger
from services.trainer.plans import Plan
from services.trainer.store import Missing, Store

ROOT = "training/plans/"


class PlanShelf:
    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, plan: Plan, ledger: Ledger) -> Plan:
        """The plan, stored; or one that a killed run stored at this place and that follows from the same ledger."""
        for stored in self.of_group(plan.group):
            if _fits(stored, plan, ledger):
                return stored
        self._store.put(key_of(plan), plan.to_json())
        return plan

    def of_group(self, group: int) -> Iterator[Plan]:
        """Plans of a group that can be read, by their keys."""
        for key in sorted(self._store.keys(f"{ROOT}{group:06d}-")):
            try:
                yield Plan.from_json(self._store.get(key))
            except (Missing, ValueError, KeyError, TypeError):
                continue


def key_of(plan: Plan) -> str:
    return f"{ROOT}{plan.group:06d}-{plan.digest()[:12]}.json"


def _fits(stored: Plan, plan: Plan, ledger: Ledger) -> bool:
    """Whether a stored plan follows from where this run stands."""
    known = ledger.entries
    return (stored.parent, stored.batch_size, stored.seed) == (plan.parent, plan.batch_size, plan.seed) and all(
        source.ref.shard_id in known
        and (known[source.ref.shard_id].ref, known[source.ref.shard_id].drawn) == (source.ref, source.first_draw)
        for source in stored.sources
    )
