"""Which text a picture is shown with: one of the web's, or one from the knowledge graph.

Half and half is EntityNet's measured best (ImageNet 61.5 against 59.1 with web texts only and 55.7 without any). Among
knowledge texts names weigh most, then what is above the entity, then its definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.trainer.knowledge import EntityTexts, Knowledge
from services.trainer.samples import Sample

T = TypeVar("T")

NUMBERS = 4  # how many random numbers one choice takes
NAME, ABOVE, DEFINITION = 0.6, 0.3, 0.1
TYPE_SHARE = 0.7  # of the texts from above: the natural type, the rest is some parent


def choose_text(sample: Sample, knowledge: Knowledge, web_share: float, numbers: NDArray[np.float64]) -> str:
    """`numbers` are NUMBERS numbers in [0, 1). Empty only where the sample has no text at all."""
    known = [knowledge.entities[entity] for entity in sample.entities if entity in knowledge.entities]
    if sample.texts and (not known or numbers[0] < web_share):
        return _pick(sample.texts, float(numbers[1]))
    if known:
        return knowledge_text(_pick(known, float(numbers[1])), numbers[2:4])
    return ""


def knowledge_text(entity: EntityTexts, numbers: NDArray[np.float64]) -> str:
    """A name (half of them with the natural type behind), what is above the entity, or its definition."""
    kind, which = float(numbers[0]), float(numbers[1])
    if kind < DEFINITION and entity.definition:
        return entity.definition
    if kind < DEFINITION + ABOVE and (entity.natural_type or entity.parents):
        return _above(entity, which)
    name = entity.label if which < 0.5 else _pick(entity.names, (which - 0.5) * 2)
    return f"{name}, {entity.natural_type}" if entity.natural_type and kind < 1 - NAME / 2 else name


def _above(entity: EntityTexts, which: float) -> str:
    if entity.natural_type and (which < TYPE_SHARE or not entity.parents):
        return entity.natural_type
    return _pick(entity.parents, (which - TYPE_SHARE) / (1 - TYPE_SHARE) if which >= TYPE_SHARE else which)


def _pick(items: Sequence[T], number: float) -> T:
    return items[int(number * len(items))]
