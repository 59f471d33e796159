"""An evaluation's accuracy by entity, natural type, how often an entity was trained on, and branch of the hierarchy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.trainer.evaluation import Evaluation, Hits, entity_labels
from services.trainer.heldout import HeldOut
from services.trainer.knowledge import Knowledge

BUCKETS = ("head", "middle", "tail")
Table = dict[str, dict[str, Any]]


def break_down(evaluation: Evaluation, knowledge: Knowledge, trained: Mapping[str, int]) -> dict[str, Table]:
    """By name of the table, then of its row: pictures and accuracy. `trained` counts samples by entity id."""
    buckets = frequency_buckets(trained)

    def bucket(sample: HeldOut) -> Iterable[str]:
        return {buckets[entity] for entity in sample.entities if entity in buckets}

    def natural_types(sample: HeldOut) -> Iterable[str]:
        return {name for entity in sample.entities if (name := knowledge.natural_type(entity))}

    def branches(sample: HeldOut) -> Iterable[str]:
        known = (knowledge.entities[entity] for entity in sample.entities if entity in knowledge.entities)
        return {entity.parents[-1] for entity in known if entity.parents}

    return {
        "entity": _table(evaluation, evaluation.entities, lambda sample: entity_labels(sample, knowledge)),
        "natural_type": _table(evaluation, evaluation.types, natural_types),
        "bucket": _table(evaluation, evaluation.entities, bucket),
        "branch": _table(evaluation, evaluation.entities, branches),
    }


def frequency_buckets(trained: Mapping[str, int]) -> dict[str, str]:
    """Each entity's third of the entities, the most trained first."""
    ordered = sorted(trained, key=lambda entity: (-trained[entity], entity))
    return {entity: BUCKETS[place * len(BUCKETS) // len(ordered)] for place, entity in enumerate(ordered)}


def _table(evaluation: Evaluation, hits: Hits, rows: Callable[[HeldOut], Iterable[str]]) -> Table:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for sample, hit in zip(evaluation.samples, hits, strict=True):
        for row in rows(sample) if hit is not None else ():
            counts[row][0] += bool(hit)
            counts[row][1] += 1
    return {
        row: {"pictures": count, "accuracy": round(right / count, 4)} for row, (right, count) in sorted(counts.items())
    }
