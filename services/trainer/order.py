"""Which sample stands at which place of a plan: a pure function of the plan, whatever the number of processes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from services.trainer.plans import Plan
from services.trainer.randomness import permutation


class Order:
    """The draws of all sources, shuffled over the whole group.

    A shard's own draws walk through it in whole passes, each pass in an order of its own, so that after n passes every
    sample was drawn n times.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        counts = np.array([source.draws for source in plan.sources], dtype=np.int64)
        shuffled = permutation(plan.draws, plan.seed, "order", plan.group)
        self._sources = np.repeat(np.arange(len(counts)), counts)[shuffled]
        starts = np.cumsum(counts) - counts
        self._draws = (np.arange(plan.draws) - np.repeat(starts, counts))[shuffled]
        self._pass = lru_cache(maxsize=4 * len(counts) + 4)(self._pass_order)

    def place(self, index: int) -> tuple[int, int]:
        """(source, sample) of the draw at `index` of the group, both as positions."""
        number = int(self._sources[index])
        source = self.plan.sources[number]
        turn, position = divmod(source.first_draw + int(self._draws[index]), source.samples)
        return number, int(self._pass(number, turn)[position])

    def drawn_until(self, step: int) -> Iterator[tuple[str, int]]:
        """(shard_id, draws) of the first `step` steps."""
        counts = np.bincount(self._sources[: step * self.plan.batch_size], minlength=len(self.plan.sources))
        return ((source.ref.shard_id, int(n)) for source, n in zip(self.plan.sources, counts, strict=True))

    def _pass_order(self, number: int, turn: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        source = self.plan.sources[number]
        return permutation(source.samples, self.plan.seed, source.ref.shard_id, turn)


def indices(plan: Plan, step: int, rank: int, world_size: int) -> range:
    """Places of the group that one process draws in one step."""
    share = plan.batch_size // world_size
    start = step * plan.batch_size + rank * share
    return range(start, start + share)
