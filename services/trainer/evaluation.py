"""Zero-shot accuracy on held-out pictures, over natural types and over entities, and retrieval by text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from services.trainer.clip import Clip
from services.trainer.heldout import HeldOut
from services.trainer.intervals import wilson
from services.trainer.knowledge import Knowledge
from services.trainer.pictures import open_picture
from services.trainer.zero_shot import Reader, choices, text_ranks

Metrics = dict[str, float]
Hits = tuple[bool | None, ...]  # one a picture; none = it has no truth among the names


@dataclass(frozen=True)
class Evaluation:
    """`metrics` are what could be measured; `heldout` is always there. Hits are in the order of the samples."""

    metrics: Metrics
    samples: tuple[HeldOut, ...] = ()
    types: Hits = ()
    entities: Hits = ()


def evaluate(clip: Clip, heldout: Sequence[HeldOut], knowledge: Knowledge, device: torch.device) -> Evaluation:
    """The model must be in evaluation mode."""
    metrics: Metrics = {"heldout": len(heldout)}
    if not heldout:
        return Evaluation(metrics)
    reader = Reader(clip, device)
    pictures = reader.pictures(open_picture(sample.picture) for sample in heldout)
    type_metrics, types = over_types(reader, pictures, heldout, knowledge)
    entity_metrics, entities = over_entities(reader, pictures, heldout, knowledge)
    metrics |= type_metrics | entity_metrics | retrieval(reader, pictures, heldout)
    return Evaluation(metrics, tuple(heldout), types, entities)


def over_types(
    reader: Reader, pictures: Tensor, heldout: Sequence[HeldOut], knowledge: Knowledge
) -> tuple[Metrics, Hits]:
    """`accuracy`: which natural type is it, among all of the domain. `majority`: what always naming one would give."""
    names = knowledge.natural_types()
    truths = [frozenset(filter(None, map(knowledge.natural_type, sample.entities))) for sample in heldout]
    hits = zero_shot_hits(reader, pictures, names, truths)
    known = [hit for hit in hits if hit is not None]
    if not known:
        return {}, hits
    counts = Counter(name for truth in truths for name in truth)
    low, high = wilson(sum(known), len(known))
    return {
        "accuracy": sum(known) / len(known),
        "accuracy_low": low,
        "accuracy_high": high,
        "chance": 1 / len(names),
        "majority": max(counts.values()) / len(known),
        "pictures": len(known),
        "types": len(names),
    }, hits


def over_entities(
    reader: Reader, pictures: Tensor, heldout: Sequence[HeldOut], knowledge: Knowledge
) -> tuple[Metrics, Hits]:
    """`entity_accuracy`: which entity is it, among all that have a held-out picture."""
    truths = [entity_labels(sample, knowledge) for sample in heldout]
    names = sorted(frozenset().union(*truths))
    hits = zero_shot_hits(reader, pictures, names, truths)
    known = [hit for hit in hits if hit is not None]
    if not known:
        return {}, hits
    low, high = wilson(sum(known), len(known))
    return {
        "entity_accuracy": sum(known) / len(known),
        "entity_accuracy_low": low,
        "entity_accuracy_high": high,
        "entity_chance": 1 / len(names),
        "entities": len(names),
    }, hits


def entity_labels(sample: HeldOut, knowledge: Knowledge) -> frozenset[str]:
    return frozenset(knowledge.entities[entity].label for entity in sample.entities if entity in knowledge.entities)


def zero_shot_hits(reader: Reader, pictures: Tensor, names: Sequence[str], truths: Sequence[frozenset[str]]) -> Hits:
    """Whether each picture is named rightly; all none where there are not two names to tell apart."""
    known = [bool(truth & set(names)) for truth in truths]
    if len(names) < 2 or not any(known):
        return (None,) * len(truths)
    chosen = choices(pictures, reader.classifier(names))
    return tuple(
        names[choice] in truth if has_truth else None
        for choice, truth, has_truth in zip(chosen, truths, known, strict=True)
    )


def retrieval(reader: Reader, pictures: Tensor, heldout: Sequence[HeldOut]) -> Metrics:
    """`retrieval_r1`, `_r5`, `_r10`: is the picture's own text among the first 1, 5, 10 of all held-out texts."""
    with_text = [place for place, sample in enumerate(heldout) if sample.texts]
    if len(with_text) < 2:
        return {}
    own = [heldout[place].texts[0] for place in with_text]
    ranks = text_ranks(pictures[torch.tensor(with_text)], reader.texts(own), own)
    metrics = {f"retrieval_r{k}": sum(rank < k for rank in ranks) / len(ranks) for k in (1, 5, 10)}
    return {**metrics, "retrieval_chance": 1 / len(own)}
