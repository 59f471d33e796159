"""One step of training, on one process or on each of many."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from services.trainer.accumulating import Outputs, backward_in_parts
from services.trainer.averaging import Average
from services.trainer.batches import Batch
from services.trainer.clip import Clip
from services.trainer.losses import make_loss
from services.trainer.optimizing import bound_temperature, learning_rate, make_optimizer, set_learning_rate
from services.trainer.randomness import number_of
from services.trainer.ranks import Ranks
from services.trainer.recipe import AMP_BF16, AUTO, Recipe


@dataclass(frozen=True)
class Step:
    """What a step measured. `finite` false: its gradient was not, and the weights are as before."""

    loss: float
    gradient_norm: float
    rate: float
    logit_scale: float
    finite: bool


class Stepper:
    """Model, optimizer and average, and the number of steps that they have taken."""

    def __init__(self, clip: Clip, recipe: Recipe, ranks: Ranks, device: torch.device) -> None:
        self.clip, self.recipe, self.ranks, self.device = clip, recipe, ranks, device
        self.model = clip.model.to(device).train()
        self.optimizer: Optimizer = make_optimizer(self.model, recipe)
        self.average = Average(self.model, recipe.ema_half_life_steps)
        self.step = 0
        self._bfloat16 = recipe.precision == AMP_BF16 or (recipe.precision == AUTO and device.type == "cuda")
        self._loss = make_loss(recipe.loss, ranks)
        places = [device] if device.type == "cuda" else None
        self._parallel: nn.Module = (
            DistributedDataParallel(self.model, device_ids=places) if ranks.size > 1 else self.model
        )
        self._run: Callable[..., Outputs] = torch.compile(self._parallel) if recipe.compile else self._parallel

    def take(self, batch: Batch) -> Step:
        """The next step. Raises torch.cuda.OutOfMemoryError."""
        rate = learning_rate(self.recipe, self.step)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad()
        torch.manual_seed(number_of(self.recipe.seed, "step", self.step, self.ranks.rank))  # what patch dropout draws
        loss = self.backward(batch)
        norm = float(clip_grad_norm_(self.model.parameters(), self.recipe.max_gradient_norm))
        finite = norm < float("inf")  # false for NaN too; equal on all processes, for gradients are
        if finite:
            self.optimizer.step()
            bound_temperature(self.model)
            self.average.update(self.model, self.step)
        self.step += 1
        return Step(float(loss.detach()), norm, rate, self.clip.logit_scale(), finite)

    def backward(self, batch: Batch) -> Tensor:
        """The loss of this process' share; the gradients of all processes together are those of the whole batch."""
        inputs = (batch.images, batch.colours, batch.tokens)
        if self.recipe.parts == 1:
            loss = self._value(self._outputs(*inputs))
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        parts = list(zip(*(values.chunk(self.recipe.parts) for values in inputs), strict=True))
        return backward_in_parts(self._parallel, lambda part: self._outputs(*parts[part]), len(parts), self._value)

    def _outputs(self, images: Tensor, colours: Tensor, tokens: Tensor) -> Outputs:
        with self._precision():
            shown = self.clip.shown(images.to(self.device, non_blocking=True), colours)
            return self._run(shown, tokens.to(self.device, non_blocking=True))

    def _value(self, outputs: Outputs) -> Tensor:
        with self._precision():
            loss: Tensor = self._loss(**outputs)
        return loss

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16) if self._bfloat16 else nullcontext()
