"""One step of training, on one process or on each of many."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from open_clip.loss import ClipLoss
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from services.trainer.averaging import Average
from services.trainer.batches import Batch
from services.trainer.clip import Clip
from services.trainer.optimizing import bound_temperature, learning_rate, make_optimizer, set_learning_rate
from services.trainer.ranks import Ranks
from services.trainer.recipe import Recipe


@dataclass(frozen=True)
class Step:
    """What a step measured. `finite` false: its gradient was not, and the weights are as before."""

    loss: float
    gradient_norm: float
    rate: float
    logit_scale: float
    finite: bool


def make_loss(ranks: Ranks) -> ClipLoss:
    """The flags are no options: each other combination has a wrong or wrongly scaled gradient on many processes."""
    return ClipLoss(local_loss=True, gather_with_grad=True, cache_labels=True, rank=ranks.rank, world_size=ranks.size)


class Stepper:
    """Model, optimizer and average, and the number of steps that they have taken."""

    def __init__(self, clip: Clip, recipe: Recipe, ranks: Ranks, device: torch.device) -> None:
        self.clip, self.recipe, self.ranks, self.device = clip, recipe, ranks, device
        self.model = clip.model.to(device).train()
        self.optimizer: Optimizer = make_optimizer(self.model, recipe)
        self.average = Average(self.model, recipe.ema_half_life_steps)
        self.step = 0
        self._loss = make_loss(ranks)
        places = [device] if device.type == "cuda" else None
        self._parallel: nn.Module = (
            DistributedDataParallel(self.model, device_ids=places) if ranks.size > 1 else self.model
        )

    def take(self, batch: Batch) -> Step:
        """The next step. Raises torch.cuda.OutOfMemoryError."""
        rate = learning_rate(self.recipe, self.step)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad()
        loss = self.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(clip_grad_norm_(self.model.parameters(), self.recipe.max_gradient_norm))
        finite = norm < float("inf")  # false for NaN too; equal on all processes, for gradients are
        if finite:
            self.optimizer.step()
            bound_temperature(self.model)
            self.average.update(self.model, self.step)
        self.step += 1
        scale = float(self.model.logit_scale.detach().exp())  # type: ignore[operator]
        return Step(float(loss.detach()), norm, rate, scale, finite)

    def loss(self, batch: Batch) -> Tensor:
        """Of this process' share of the batch; the gradients of all together are those of the whole batch."""
        with self._precision():
            images = self.clip.normalise(batch.images.to(self.device, non_blocking=True))
            outputs = self._parallel(images, batch.tokens.to(self.device, non_blocking=True))
            loss: Tensor = self._loss(**outputs)
        return loss

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()
