"""Zero-shot accuracy on held-out pictures, over natural types and over entities, and retrieval by text.

Pictures go through open_clip's own transform: what is measured is what a user of the published model gets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import torch
from open_clip import build_zero_shot_classifier
from torch import Tensor
from torch.nn.functional import normalize

from services.trainer.clip import Clip
from services.trainer.heldout import HeldOut
from services.trainer.intervals import wilson
from services.trainer.knowledge import Knowledge
from services.trainer.pictures import open_picture

Metrics = dict[str, float]

CHUNK = 64
TEMPLATES: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: f"a photo of a {name}.",
    lambda name: f"a picture of a {name}.",
)


@torch.no_grad()
def evaluate(clip: Clip, heldout: Sequence[HeldOut], knowledge: Knowledge, device: torch.device) -> Metrics:
    """The model must be in evaluation mode. Measures that cannot be taken are left out; `heldout` is always there."""
    metrics: Metrics = {"heldout": len(heldout)}
    if not heldout:
        return metrics
    images = torch.cat(list(_image_features(clip, heldout, device)))
    metrics |= over_types(clip, images, heldout, knowledge, device)
    metrics |= over_entities(clip, images, heldout, knowledge, device)
    return metrics | retrieval(clip, images, heldout, device)


def over_types(
    clip: Clip, images: Tensor, heldout: Sequence[HeldOut], knowledge: Knowledge, device: torch.device
) -> Metrics:
    """`accuracy`: which natural type is it, among all of the domain. `majority`: what always naming one would give."""
    names = knowledge.natural_types()
    truths = [frozenset(filter(None, map(knowledge.natural_type, sample.entities))) for sample in heldout]
    measured = _zero_shot(clip, images, names, truths, device)
    if not measured:
        return {}
    (hits, count), counts = measured, Counter(name for truth in truths for name in truth)
    low, high = wilson(hits, count)
    return {
        "accuracy": hits / count,
        "accuracy_low": low,
        "accuracy_high": high,
        "chance": 1 / len(names),
        "majority": max(counts.values()) / count,
        "pictures": count,
        "types": len(names),
    }


def over_entities(
    clip: Clip, images: Tensor, heldout: Sequence[HeldOut], knowledge: Knowledge, device: torch.device
) -> Metrics:
    """`entity_accuracy`: which entity is it, among all that have a held-out picture."""
    truths = [
        frozenset(knowledge.entities[entity].label for entity in sample.entities if entity in knowledge.entities)
        for sample in heldout
    ]
    names = sorted(frozenset().union(*truths))
    measured = _zero_shot(clip, images, names, truths, device)
    if not measured:
        return {}
    hits, count = measured
    low, high = wilson(hits, count)
    return {
        "entity_accuracy": hits / count,
        "entity_accuracy_low": low,
        "entity_accuracy_high": high,
        "entity_chance": 1 / len(names),
        "entities": len(names),
    }


def retrieval(clip: Clip, images: Tensor, heldout: Sequence[HeldOut], device: torch.device) -> Metrics:
    """`retrieval_r1`, `_r5`, `_r10`: is the picture's own text among the first 1, 5, 10 of all held-out texts."""
    with_text = [i for i, sample in enumerate(heldout) if sample.texts]
    if len(with_text) < 2:
        return {}
    own = [heldout[i].texts[0] for i in with_text]
    texts = torch.cat([_text_features(clip, own[start : start + CHUNK], device) for start in range(0, len(own), CHUNK)])
    ranks = torch.cat([_ranks(part, texts, own, start) for start, part in _chunks(images[torch.tensor(with_text)])])
    metrics = {f"retrieval_r{k}": float((ranks < k).float().mean()) for k in (1, 5, 10)}
    return {**metrics, "retrieval_chance": 1 / len(own)}


def _ranks(images: Tensor, texts: Tensor, own: Sequence[str], start: int) -> Tensor:
    """How many other texts each picture is nearer to than to its own; an equal text is its own."""
    scores = images @ texts.T
    ranks = []
    for row, score in enumerate(scores):
        mine = own[start + row]
        better = (score > score[start + row]).nonzero().flatten().tolist()
        ranks.append(sum(own[i] != mine for i in better))
    return torch.tensor(ranks)


def _chunks(rows: Tensor) -> Iterator[tuple[int, Tensor]]:
    return ((start, rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK))


def _zero_shot(
    clip: Clip, images: Tensor, names: Sequence[str], truths: Sequence[frozenset[str]], device: torch.device
) -> tuple[int, int] | None:
    """(hits, pictures with a truth among the names); none where nothing can be told apart."""
    known = [i for i, truth in enumerate(truths) if truth & set(names)]
    if len(names) < 2 or not known:
        return None
    classifier = build_zero_shot_classifier(clip.model, clip.tokenizer, list(names), TEMPLATES, CHUNK, device)
    best = (images[torch.tensor(known)] @ classifier).argmax(1).tolist()
    hits = sum(names[choice] in truths[i] for i, choice in zip(known, best, strict=True))
    return hits, len(known)


def _image_features(clip: Clip, heldout: Sequence[HeldOut], device: torch.device) -> Iterator[Tensor]:
    for start in range(0, len(heldout), CHUNK):
        pictures = [clip.transform(open_picture(sample.picture)) for sample in heldout[start : start + CHUNK]]
        yield normalize(clip.model.encode_image(torch.stack(pictures).to(device)), dim=-1)  # type: ignore[operator]


def _text_features(clip: Clip, texts: Sequence[str], device: torch.device) -> Tensor:
    features: Tensor = normalize(clip.model.encode_text(clip.tokenize(texts).to(device)), dim=-1)  # type: ignore[operator]
    return features
