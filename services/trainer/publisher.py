"""Evaluates the averaged weights and publishes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
import torch

from entityflow.records import Model
from services.trainer.clip import Clip
from services.trainer.evaluation import Metrics, evaluate
from services.trainer.knowledge import Knowledge
from services.trainer.publishing import decide, model_files, version_of
from services.trainer.recipe import Recipe
from services.trainer.registry import WEIGHTS, Published, champion, point_aliases, write_model
from services.trainer.retention import keep_for_model
from services.trainer.shard_room import ShardRoom
from services.trainer.state import RunState
from services.trainer.stepping import Stepper
from services.trainer.store import Store

COMPARED = ("accuracy", "entity_accuracy", "retrieval_r1")  # reported beside those of the untrained model
Tell = Callable[[Model], None]


class Publisher:
    """`tell` hears of each published model."""

    def __init__(self, recipe: Recipe, store: Store, room: ShardRoom, device: torch.device, tell: Tell) -> None:
        self._recipe, self._store, self._room, self._device, self._tell = recipe, store, room, device, tell
        self._log = structlog.get_logger()

    def measure(self, clip: Clip, state: RunState, knowledge: Knowledge) -> Metrics:
        """The model as it is, in evaluation mode."""
        training = clip.model.training
        clip.model.eval()
        metrics = evaluate(clip, self._room.heldout(state.ledger), knowledge, self._device)
        clip.model.train(training)
        return metrics

    def publish(self, stepper: Stepper, state: RunState, knowledge: Knowledge, checkpoint: str | None) -> Published:
        """Evaluate, decide, write, tell."""
        with stepper.average.worn_by(stepper.model):
            metrics = self.measure(stepper.clip, state, knowledge)
        metrics |= {f"{name}_before": value for name, value in (state.baseline or {}).items() if name in COMPARED}
        metrics |= {"samples": state.ledger.samples(), "steps": state.step}
        lineage = self._lineage(state, knowledge, checkpoint)
        files = model_files(stepper.clip, stepper.average.tensors, metrics, lineage)
        promoted, why = decide(metrics, champion(self._store, self._recipe.name))
        version = version_of(state.step, files[WEIGHTS])
        published = Published(self._recipe.name, version, metrics, promoted, why, time.time())
        write_model(self._store, published, files)
        self._tell(self._record(published, state, knowledge, checkpoint))
        if promoted and checkpoint:
            keep_for_model(self._store, checkpoint, version)
        point_aliases(self._store, published)  # after the event: a run that is killed in between publishes again
        self._log.info("model_published", version=version, promoted=promoted, why=why,
                       **{name: round(value, 3) for name, value in metrics.items() if "accuracy" in name})  # fmt: skip
        return published

    def _lineage(self, state: RunState, knowledge: Knowledge, checkpoint: str | None) -> Mapping[str, Any]:
        return {
            "schema": 1,
            "recipe": self._recipe.to_plain(),
            "step": state.step,
            "samples": state.ledger.samples(),
            "draws": state.ledger.drawn(),
            "shards": shard_versions(state),
            "knowledge": knowledge.version,
            "checkpoint": checkpoint,
            "last_plan": state.parent,
        }

    def _record(self, published: Published, state: RunState, knowledge: Knowledge, checkpoint: str | None) -> Model:
        return Model(
            version=published.version,
            uri=self._store.uri(published.key),
            metrics=dict(published.metrics),
            shards=tuple(shard_versions(state)),
            knowledge_version=knowledge.version,
            checkpoint=checkpoint,
            promoted=published.promoted,
            why=published.why,
            at=published.at,
        )


def shard_versions(state: RunState) -> list[str]:
    return [f"{entry.ref.shard_id}.v{entry.ref.version}" for entry in state.ledger.usable() if entry.drawn]
