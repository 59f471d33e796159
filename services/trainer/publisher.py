"""Examines the averaged weights, judges them against the champion's, and publishes them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from safetensors.torch import load
from torch import Tensor

from entityflow.records import Model
from services.trainer.breakdown import break_down
from services.trainer.evaluation import Evaluation, Metrics
from services.trainer.examining import Examiner
from services.trainer.gate import Verdict, judge
from services.trainer.intervals import wilson
from services.trainer.knowledge import Knowledge
from services.trainer.publishing import model_files, version_of
from services.trainer.recipe import Recipe
from services.trainer.registry import (
    CONFIGURATION,
    LINEAGE,
    WEIGHTS,
    Published,
    champion,
    point_aliases,
    read_file,
    write_model,
)
from services.trainer.retention import keep_for_model
from services.trainer.state import RunState
from services.trainer.stepping import Stepper
from services.trainer.store import Missing, Store

COMPARED = ("accuracy", "entity_accuracy", "retrieval_r1")  # reported beside those of the untrained model
Tell = Callable[[Model], None]


class Publisher:
    """`tell` hears of each published model."""

    def __init__(self, recipe: Recipe, store: Store, stepper: Stepper, examiner: Examiner, tell: Tell) -> None:
        self._recipe, self._store, self._stepper, self._examiner, self._tell = recipe, store, stepper, examiner, tell
        self._log = structlog.get_logger()

    def publish(self, state: RunState, knowledge: Knowledge, checkpoint: str | None) -> Published:
        """Examine, judge, write, tell."""
        weights = self._stepper.average.tensors
        found = self._examiner.now(state, knowledge)
        guard = self._examiner.guarded(weights)
        metrics = self._metrics(found, state)
        if guard:
            right = sum(bool(hit) for hit in guard)
            low, high = wilson(right, len(guard))
            metrics |= {"guard_accuracy": right / len(guard), "guard_low": low, "guard_high": high}
        details = {
            "schema": 1,
            "tables": break_down(found, knowledge, state.trained),
            "cohorts": state.cohorts.matrix(),
        }
        lineage = self._lineage(state, knowledge, checkpoint)
        files = model_files(self._stepper.clip, weights, metrics, lineage, details)
        verdict = self._judge(found, guard, files[CONFIGURATION], state, knowledge)
        version = version_of(state.step, files[WEIGHTS])
        published = Published(self._recipe.name, version, metrics, verdict.promoted, verdict.why, time.time())
        write_model(self._store, published, files)
        self._tell(record_of(self._store, published))
        if verdict.promoted and checkpoint:
            keep_for_model(self._store, checkpoint, version)
        point_aliases(self._store, published)  # after the event: a run that is killed in between publishes again
        self._say(published, verdict)
        return published

    def _judge(
        self, found: Evaluation, guard: tuple[bool | None, ...], configuration: bytes, state: RunState, known: Knowledge
    ) -> Verdict:
        before = champion(self._store, self._recipe.name)
        weights = self._weights_of(before, configuration)
        if weights is None:
            return judge(found, None, guard, (), before)
        then = self._examiner.of(weights, state, known)
        return judge(found, then, guard, self._examiner.guarded(weights), before)

    def _weights_of(self, before: Published | None, configuration: bytes) -> Mapping[str, Tensor] | None:
        """None where there is no champion, or one of another architecture."""
        if before is None:
            return None
        try:
            if json.loads(read_file(self._store, before, CONFIGURATION)) != json.loads(configuration):
                return None
            return load(read_file(self._store, before, WEIGHTS))
        except Missing:
            return None

    def _metrics(self, found: Evaluation, state: RunState) -> Metrics:
        metrics = dict(found.metrics)
        metrics |= {f"{name}_before": value for name, value in (state.baseline or {}).items() if name in COMPARED}
        metrics |= state.cohorts.metrics(found.metrics.get("entity_chance", 0.0))
        return {**metrics, "samples": state.ledger.samples(), "steps": state.step}

    def _say(self, published: Published, verdict: Verdict) -> None:
        if verdict.alert:
            self._log.warning("model_kept_back", version=published.version, why=verdict.why)
        told = {name: round(value, 3) for name, value in published.metrics.items() if "accuracy" in name}
        self._log.info("model_published", version=published.version, promoted=verdict.promoted, why=verdict.why, **told)

    def _lineage(self, state: RunState, knowledge: Knowledge, checkpoint: str | None) -> Mapping[str, Any]:
        return {
            "schema": 1,
            "recipe": self._recipe.to_plain(),
            "step": state.step,
            "samples": state.ledger.samples(),
            "draws": state.ledger.drawn(),
            "shards": shard_versions(state),
            "position": state.position,
            "knowledge": knowledge.version,
            "checkpoint": checkpoint,
            "last_plan": state.parent,
        }


def record_of(store: Store, published: Published) -> Model:
    """The event of a model that lies in the store."""
    lineage = json.loads(read_file(store, published, LINEAGE))
    return Model(
        version=published.version,
        uri=store.uri(published.key),
        metrics=dict(published.metrics),
        shards=tuple(lineage["shards"]),
        knowledge_version=lineage["knowledge"],
        checkpoint=lineage["checkpoint"],
        promoted=published.promoted,
        why=published.why,
        at=published.at,
    )


def shard_versions(state: RunState) -> list[str]:
    return [f"{entry.ref.shard_id}.v{entry.ref.version}" for entry in state.ledger.usable() if entry.drawn]
