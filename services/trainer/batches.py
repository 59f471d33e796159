"""Batches of a plan: decoded ahead by threads, each a pure function of (plan, step, rank)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.trainer import pictures, texts
from services.trainer.knowledge import Knowledge
from services.trainer.order import Order, indices
from services.trainer.plans import Plan, Source
from services.trainer.randomness import uniforms
from services.trainer.ranks import Ranks
from services.trainer.samples import Sample, ShardFile


@dataclass(frozen=True)
class Batch:
    """images: uint8 [n, 3, pixels, pixels]; tokens: int64 [n, context]; colours: [n, 2], for `recolour`; keys in the
    same order."""

    images: Tensor
    tokens: Tensor
    colours: Tensor
    keys: tuple[str, ...]
    waited_seconds: float


SPLIT = (pictures.NUMBERS, pictures.COLOURS, texts.NUMBERS)  # random numbers of one draw

Tokenize = Callable[[Sequence[str]], Tensor]


class OpenShard:
    """The usable samples of a source, in the tar's order."""

    def __init__(self, source: Source, file: ShardFile) -> None:
        skipped = set(source.skipped)
        self.file = file
        self.samples = [sample for sample in file.samples if sample.key not in skipped]

    def picture(self, sample: Sample) -> bytes:
        return self.file.picture(sample)


@dataclass(frozen=True)
class View:
    """How samples are shown to the model."""

    image_pixels: int
    alt_text_share: float
    tokenize: Tokenize


class Batches:
    """The batches of one process for a plan, from a step on."""

    def __init__(self, plan: Plan, shards: Sequence[OpenShard], knowledge: Knowledge, view: View, ranks: Ranks) -> None:
        self._plan, self._shards, self._knowledge, self._view, self._ranks = plan, shards, knowledge, view, ranks
        self._order = Order(plan)

    def make(self, step: int, pool: ThreadPoolExecutor) -> Callable[[], Batch]:
        """Start to decode a step's batch; call the result to have it."""
        places = indices(self._plan, step, self._ranks.rank, self._ranks.size)
        views: list[Future[tuple[Tensor, str, NDArray[np.float64], str]]] = [
            pool.submit(self._one, index) for index in places
        ]

        def finish() -> Batch:
            started = time.perf_counter()
            images, captions, colours, keys = zip(*(view.result() for view in views), strict=True)
            waited = time.perf_counter() - started
            return Batch(
                torch.stack(images), self._view.tokenize(captions), torch.from_numpy(np.stack(colours)), keys, waited
            )

        return finish

    def ahead(self, first_step: int, pool: ThreadPoolExecutor, depth: int) -> Iterator[tuple[int, Batch]]:
        """(step, batch) to the end of the plan, `depth` batches being decoded meanwhile."""
        waiting: deque[Callable[[], Batch]] = deque()
        started = first_step
        for step in range(first_step, self._plan.steps):
            while started < self._plan.steps and len(waiting) < depth:
                waiting.append(self.make(started, pool))
                started += 1
            yield step, waiting.popleft()()

    def _one(self, index: int) -> tuple[Tensor, str, NDArray[np.float64], str]:
        number, position = self._order.place(index)
        shard = self._shards[number]
        sample = shard.samples[position]
        numbers = uniforms(sum(SPLIT), self._plan.seed, "view", self._plan.group, index)
        crop, colours, choice = np.split(numbers, np.cumsum(SPLIT)[:-1])
        picture = pictures.decode(shard.picture(sample), pictures.decoded_side(self._view.image_pixels))
        image = pictures.training_view(picture, self._view.image_pixels, crop)
        text = texts.choose_text(sample, self._knowledge, self._view.alt_text_share, choice)
        return image, text, colours, sample.key
