"""AdamW as CLIP wants it: decay of matrices only, one warm-up and a constant rate, a bounded temperature."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from services.trainer.recipe import Recipe

BETAS, EPSILON = (0.9, 0.98), 1e-6
MAX_LOGIT_SCALE = math.log(100)


def make_optimizer(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Biases, norms and the temperature are not decayed."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=recipe.learning_rate, betas=BETAS, eps=EPSILON, fused=True)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Of the step after `step` steps: linear warm-up, then constant, so that the stream has no end to plan for."""
    return recipe.learning_rate * min(1.0, (step + 1) / recipe.warmup_steps)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def bound_temperature(model: nn.Module) -> None:
    """exp(logit_scale) stays within 1..100: beyond that it runs off to infinity."""
    with torch.no_grad():
        model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)  # type: ignore[operator]


def optimizer_tensors(model: nn.Module, optimizer: Optimizer) -> Iterator[tuple[str, Tensor]]:
    """The optimizer's state by parameter name: `NAME/exp_avg` and so on."""
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            yield f"{name}/{key}", torch.as_tensor(value)


def restore_optimizer(model: nn.Module, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`."""
    parameters = dict(model.named_parameters())
    for name, value in tensors.items():
        parameter_name, key = name.rsplit("/", 1)
        parameter = parameters[parameter_name]
        place = value.clone() if key == "step" else value.to(parameter.device)
        optimizer.state[parameter][key] = place
