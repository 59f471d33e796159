"""The running average of the weights: what is published.

With a constant learning rate the average gives at any moment what a cooldown would give at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Of all weights and floating-point buffers, with a half-life in steps; other buffers are copied."""

    def __init__(self, model: nn.Module, half_life_steps: int) -> None:
        self._decay = 0.5 ** (1 / half_life_steps)
        self.tensors: dict[str, Tensor] = {name: value.clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """After the step with number `step` (from 0); the first steps count less long."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.tensors[name].lerp_(value, 1 - decay)
            else:
                self.tensors[name].copy_(value)


@contextmanager
def wearing(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """The model has these weights, and is in evaluation mode, inside."""
    own = {name: value.clone() for name, value in model.state_dict().items()}
    training = model.training
    model.load_state_dict(dict(weights))
    model.eval()
    try:
        yield
    finally:
        model.load_state_dict(own)
        model.train(training)
