"""When and on what the run's weights are examined: before a group is trained on, after it, and for publication."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import structlog
import torch
from torch import Tensor

from services.trainer.averaging import wearing
from services.trainer.evaluation import Evaluation, Hits, Metrics, evaluate
from services.trainer.guard import guard_hits, open_guard
from services.trainer.knowledge import Knowledge
from services.trainer.ledger import Entry
from services.trainer.progress import Progress
from services.trainer.shard_room import ShardRoom
from services.trainer.state import RunState
from services.trainer.stepping import Stepper
from services.trainer.zero_shot import Reader

NEW_PICTURES = 256


class Examiner:
    """`every_steps`: examinations after a group lie at least this far apart, by steps, so that a run that is resumed
    has the same ones."""

    def __init__(
        self,
        stepper: Stepper,
        room: ShardRoom,
        device: torch.device,
        progress: Progress,
        every_steps: int,
        guard: Path | None,
    ) -> None:
        self._stepper, self._room, self._device = stepper, room, device
        self._progress, self._every_steps = progress, every_steps
        self._guard = open_guard(guard) if guard else None
        self._log = structlog.get_logger()

    def untrained(self, state: RunState, knowledge: Knowledge) -> Metrics:
        """What the first weights know."""
        with self._wearing(self._stepper.average.tensors):
            found = evaluate(self._stepper.clip, self._room.heldout(state.ledger), knowledge, self._device)
        self._say("untrained", state, found.metrics)
        return found.metrics

    def before(self, new: list[Entry], state: RunState, knowledge: Knowledge) -> None:
        """Score shards that are about to be trained on for the first time: how new they are, and nothing can leak."""
        if state.step == 0 or not self._due(state, before=True):
            return
        samples = self._room.some_of(new, NEW_PICTURES)
        with self._wearing(self._stepper.average.tensors):
            found = evaluate(self._stepper.clip, samples, knowledge, self._device)
        state.cohorts = state.cohorts.add(
            state.step, state.group, [(state.group, hit) for hit in found.entities if hit is not None], before=True
        )
        self._say("new_shards_scored", state, found.metrics)

    def after(self, state: RunState, knowledge: Knowledge) -> None:
        """Examine the average on all cohorts, if it is time to."""
        if state.step and self._due(state, before=False):
            self._say("examined", state, self.now(state, knowledge).metrics)

    def now(self, state: RunState, knowledge: Knowledge) -> Evaluation:
        """The average on all held-out pictures; the state's cohorts have it."""
        return self._note(state, self.of(self._stepper.average.tensors, state, knowledge))

    def of(self, weights: Mapping[str, Tensor], state: RunState, knowledge: Knowledge) -> Evaluation:
        """Any weights on all held-out pictures."""
        with self._wearing(weights):
            return evaluate(self._stepper.clip, self._room.heldout(state.ledger), knowledge, self._device)

    def guarded(self, weights: Mapping[str, Tensor]) -> Hits:
        """Any weights on the guard set; empty where there is none."""
        if self._guard is None:
            return ()
        with self._wearing(weights):
            return guard_hits(Reader(self._stepper.clip, self._device), self._guard)

    def _note(self, state: RunState, found: Evaluation) -> Evaluation:
        learned = {shard_id: entry.group for shard_id, entry in state.ledger.entries.items()}
        hits = [
            (group, hit)
            for sample, hit in zip(found.samples, found.entities, strict=True)
            if hit is not None and (group := learned.get(sample.shard)) is not None
        ]
        if not state.cohorts.rows or state.cohorts.rows[-1].step != state.step or state.cohorts.rows[-1].before:
            state.cohorts = state.cohorts.add(state.step, state.group - 1, hits)
        return found

    def _due(self, state: RunState, before: bool) -> bool:
        steps = [row.step for row in state.cohorts.rows if row.before is before]
        return not steps or state.step - steps[-1] >= self._every_steps

    def _say(self, event: str, state: RunState, metrics: Metrics) -> None:
        told = {name: round(value, 3) for name, value in metrics.items() if "accuracy" in name or "r1" in name}
        self._log.info(event, step=state.step, group=state.group, **told)
        self._progress.write({"event": event, "step": state.step, "group": state.group, **metrics})

    @contextmanager
    def _wearing(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        with wearing(self._stepper.model, weights):
            yield
