"""The run: hear of shards, plan a group, carry it out, keep checkpoints, publish; then again.

On many processes the leader decides and the others do the same. What is to be done next is a pure function of the
checkpoint, the log of shards and the stored plans, so a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
import torch

from entityflow.errors import Retryable, UserError
from services.trainer.batches import Batch, Batches, View
from services.trainer.checkpoints import Checkpoint, read_newest
from services.trainer.clip import build_clip
from services.trainer.examining import Examiner
from services.trainer.keeping import Keeper
from services.trainer.knowledge import NOTHING, Knowledge
from services.trainer.plan_shelf import PlanShelf
from services.trainer.plans import Plan, plan_new, plan_replay
from services.trainer.progress import Progress
from services.trainer.publisher import Publisher, Tell
from services.trainer.publishing import step_of
from services.trainer.ranks import Ranks
from services.trainer.recipe import TINY, Recipe
from services.trainer.registry import LATEST, Published, alias
from services.trainer.saving import restore, snapshot
from services.trainer.settings import TrainerSettings
from services.trainer.shard_log import ShardLog
from services.trainer.shard_room import Lost, ShardRoom
from services.trainer.state import RunState
from services.trainer.stepping import Step, Stepper
from services.trainer.store import Store
from services.trainer.watching import Watch

GO, STOP, RENEW = "go", "stop", "renew"
EVALUATE_STEPS, TINY_STEPS = 500, 20


@dataclass(frozen=True)
class Work:
    """A plan, and how many of its steps were taken before."""

    plan: Plan
    taken: int


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Surroundings:
    """All that a run touches outside itself."""

    store: Store
    log: ShardLog
    room: ShardRoom
    newest_knowledge: Callable[[], Knowledge]
    knowledge: Callable[[str | None], Knowledge]
    progress: Progress
    tell: Tell


class Trainer:
    """`run()` until `stop` is set or, where the settings say so, nothing is left to do."""

    def __init__(
        self,
        recipe: Recipe,
        settings: TrainerSettings,
        around: Surroundings,
        ranks: Ranks,
        device: torch.device,
        stop: threading.Event,
    ) -> None:
        self.recipe, self.settings, self.around, self.ranks = recipe.for_processes(ranks.size), settings, around, ranks
        self.stop, self.state = stop, RunState()
        self.published: Published | None = None
        self._log = structlog.get_logger()
        self.stepper = Stepper(build_clip(recipe), recipe, ranks, device)
        every = settings.trainer_evaluate_steps or (TINY_STEPS if recipe.model == TINY else EVALUATE_STEPS)
        self._examiner = Examiner(
            self.stepper, around.room, device, around.progress, every, settings.trainer_guard if ranks.leads else None
        )
        self._publisher = Publisher(recipe, around.store, self.stepper, self._examiner, around.tell)
        self._knowledge: Knowledge = NOTHING
        self._bad_steps = 0
        self._shelf = PlanShelf(around.store)
        self._keeper = Keeper(around.store, settings.trainer_keep_checkpoints, self._written)
        self._watch = Watch(around.log, around.room, settings.trainer_watch_seconds)
        self._saved_step, self._begun_step, self._published_step = -1, -1, 0
        self._saved_at = self._published_at = self._looked_at = time.monotonic()

    def run(self) -> RunState:
        """Raises UserError where training cannot go on."""
        try:
            return self._run()
        finally:
            self._watch.close()
            self._keeper.close()

    def _run(self) -> RunState:
        self._restore()
        while (order := self.ranks.from_leader(self._decide() if self.ranks.leads else None)) is not None:
            if isinstance(order, Work):
                self._execute(order.plan, order.taken)
            else:
                self.stop.wait(order.seconds)
        if self.ranks.leads and self.state.step > max(self._begun_step, 0):
            self._save()
        self._keeper.finish()
        return self.state

    # --- what next: the leader only ---

    def _decide(self) -> Work | Wait | None:
        while not self.stop.is_set():
            try:
                return self._look()
            except Retryable as exc:
                self._log.warning("store_away", error=str(exc))
                return Wait(self.settings.trainer_poll_seconds)
            except Lost as exc:
                self._give_up(exc)
        return None

    def _look(self) -> Work | Wait | None:
        """What to do now. Raises Retryable, and Lost where a shard of the plan under way is gone."""
        self._hear()
        if self.state.plan is None and self._due(self._published_at, self.settings.trainer_publish_seconds):
            self._publish_news()
        self._end_what_was_withdrawn()
        if self.state.plan is None:
            self._examiner.after(self.state, self._knowledge)
        plan = self._next_plan()
        if plan is not None:
            with self.around.room.opened(plan):
                return Work(plan, self.state.plan_step)
        self._publish_news()
        return None if self.settings.trainer_exit_when_idle else Wait(self.settings.trainer_poll_seconds)

    def _end_what_was_withdrawn(self) -> None:
        """Of the plan under way, where a shard of it has to be forgotten."""
        state = self.state
        if state.plan is None:
            return
        newest = {shard_id: entry.ref for shard_id, entry in state.ledger.entries.items()}
        if shards := self.around.room.withdrawn(state.plan, newest):
            self._log.warning("plan_withdrawn", group=state.plan.group, steps=state.plan_step, shards=shards)
            state.finish_plan()

    def _hear(self) -> None:
        """Take what the log has new into the ledger."""
        try:
            news = self.around.log.since(self.state.position)
        except Retryable as exc:
            self._log.warning("shards_unknown", error=str(exc))
            return
        if news.shards:
            self._knowledge = self.around.newest_knowledge()
            self.state.ledger, entities = self.around.room.admit_all(self.state.ledger, news.shards, self._knowledge)
            self.state.count(entities)
        self.state.position = news.position

    def _next_plan(self) -> Plan | None:
        """What is under way; else new shards first, then what was drawn too rarely; none = nothing to do."""
        state, recipe = self.state, self.recipe
        if state.plan is not None:
            return state.plan
        new = [entry for entry in state.ledger.usable() if not entry.drawn][: recipe.group_shards]
        if not new:
            self._looked_at = time.monotonic()
        if not new and not state.ledger.missing_draws(recipe.passes):
            return None
        if new and not self._enough(sum(entry.samples for entry in new)):
            return None
        if state.step == 0 and state.baseline is None:
            state.baseline = self._examiner.untrained(state, self._knowledge)
        if new:
            self._examiner.before(new, state, self._knowledge)
        place = state.place(self._knowledge.version)
        plan = plan_new(recipe, state.ledger, new, place) if new else plan_replay(recipe, state.ledger, place)
        state.plan = self._shelf.claim(plan, state.ledger)
        return state.plan

    def _enough(self, samples: int) -> bool:
        """Whether so few new samples are worth a group, or others may still come."""
        waited = time.monotonic() - self._looked_at
        return (
            samples >= self.recipe.batch_size
            or self.settings.trainer_exit_when_idle
            or waited >= self.settings.trainer_group_wait_seconds
        )

    def _give_up(self, lost: Lost) -> None:
        """End the plan under way after the steps that were taken; another one is made without the shard."""
        assert self.state.plan is not None
        self._log.error("shard_lost", shard=lost.shard_id, reason=lost.reason, group=self.state.plan.group)
        replaced = self.state.ledger.entries[lost.shard_id].ref not in {s.ref for s in self.state.plan.sources}
        self.state.finish_plan()
        if not replaced:
            self.state.ledger = self.state.ledger.lose(lost.shard_id, lost.reason)

    # --- doing it: every process ---

    def _execute(self, plan: Plan, taken: int) -> None:
        self.state.plan = plan
        if self._knowledge.version != plan.knowledge:
            self._knowledge = self.around.knowledge(plan.knowledge)
        view = View(self.recipe.image_pixels, self.recipe.alt_text_share, self.stepper.clip.tokenize)
        self._log.info("group", group=plan.group, kind=plan.kind, shards=len(plan.sources), steps=plan.steps,
                       taken=taken)  # fmt: skip
        with (
            ThreadPoolExecutor(self.settings.trainer_loaders, "loader") as pool,
            self.around.room.opened(plan) as shards,
        ):
            batches = Batches(plan, shards, self._knowledge, view, self.ranks)
            for step, batch in batches.ahead(taken, pool, self.settings.trainer_prefetch_batches):
                self._take(plan, step, batch)
                if self.ranks.from_leader(self._signal(plan)) != GO:
                    return
        if self.ranks.leads:
            self.state.finish_plan()

    def _take(self, plan: Plan, step: int, batch: Batch) -> None:
        try:
            result = self.stepper.take(batch)
        except torch.cuda.OutOfMemoryError as exc:
            raise UserError(
                f"the GPU's memory does not hold a batch of {plan.batch_size} on {self.ranks.size} processes",
                hint="lower ENTITYFLOW_TRAINER_BATCH_SIZE or ENTITYFLOW_TRAINER_IMAGE_PIXELS, or add processes",
            ) from exc
        self.state.plan_step, self.state.step = step + 1, plan.first_step + step + 1
        self._judge(result)
        if self.ranks.leads:
            place = {"group": plan.group, "kind": plan.kind, "group_steps_left": plan.steps - step - 1}
            self.around.progress.step(self.state.step, result, batch.waited_seconds, place)

    def _judge(self, result: Step) -> None:
        """Bad steps in a row mean that the run is broken."""
        self._bad_steps = 0 if result.finite else self._bad_steps + 1
        if self._bad_steps >= self.settings.trainer_max_bad_steps:
            good = f"the checkpoint of step {self._saved_step}" if self._saved_step >= 0 else "no checkpoint"
            raise UserError(
                f"{self._bad_steps} steps in a row up to step {self.state.step} were not finite; {good} is good",
                hint="lower ENTITYFLOW_TRAINER_LEARNING_RATE and start again",
            )

    def _signal(self, plan: Plan) -> str:
        """The leader's word after a step; saves where it is time to."""
        if not self.ranks.leads:
            return GO
        if self.stop.is_set():
            return STOP
        if self._watch.withdrawn(plan):
            self._save()
            return RENEW
        if not self._keeper.busy and self._save_is_due():
            self._save()
        return GO

    def _save_is_due(self) -> bool:
        steps = self.state.step - max(self._begun_step, 0)
        return steps >= self.settings.trainer_checkpoint_steps or self._due(
            self._saved_at, self.settings.trainer_checkpoint_seconds
        )

    # --- keeping it ---

    def _due(self, since: float, seconds: float) -> bool:
        return time.monotonic() - since >= seconds

    def _publish_news(self) -> None:
        """Publish, if a step was taken since the last model."""
        if self.state.step <= self._published_step:
            return
        checkpoint = self._save()
        self._keeper.finish()
        self.published = self._publisher.publish(self.state, self._knowledge, checkpoint)
        self._published_step = self.state.step
        self._published_at = time.monotonic()

    def _save(self) -> str:
        """Begin to write a checkpoint; its folder."""
        checkpoint = snapshot(self.stepper, self.state, self.recipe, self.around.log.identity(), self._bad_steps)
        self._saved_at, self._begun_step = time.monotonic(), self.state.step
        self._keeper.begin(checkpoint)
        return checkpoint.key

    def _written(self, checkpoint: Checkpoint) -> None:
        """From the writer's thread."""
        self._saved_step = checkpoint.step
        self.around.log.kept(int(checkpoint.state["position"]))

    def _restore(self) -> None:
        checkpoint = read_newest(self.around.store, self.recipe.architecture())
        if checkpoint is None:
            return
        self.state, self._bad_steps = restore(checkpoint, self.stepper, self.around.log.identity())
        self._saved_step = self._begun_step = self.state.step
        latest = alias(self.around.store, self.recipe.name, LATEST)
        self._published_step = step_of(latest) if latest else 0
        self._knowledge = self.around.newest_knowledge()
        self._log.info("resumed", checkpoint=checkpoint.key, step=self.state.step, group=self.state.group)
