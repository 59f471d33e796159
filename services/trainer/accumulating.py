"""A step in parts: the gradient of a batch that does not fit into memory at once.

The towers run over each part without a graph, the loss is taken once over all features, and each part runs again with
its share of the loss's gradient. So temperature and bias get their gradient once. Taking the loss anew for each part,
as others do, gives them as many times too much as there are parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

FEATURES = ("image_features", "text_features")

Outputs = Mapping[str, Tensor]
Forward = Callable[[int], Outputs]


def backward_in_parts(model: nn.Module, forward: Forward, parts: int, loss: Callable[[Outputs], Tensor]) -> Tensor:
    """The batch's loss, after its gradients were added to the parameters'.

    `forward` gives the model's outputs for one part; it must give the same for the same state of torch's generators.
    """
    states, seen = [], []
    with torch.no_grad():
        for part in range(parts):
            states.append(_generators())
            seen.append(forward(part))
    whole = {name: torch.cat([outputs[name] for outputs in seen]) for name in FEATURES}
    scalars = {name: value for name, value in seen[-1].items() if name not in FEATURES}
    leaves = {name: value.detach().requires_grad_() for name, value in {**whole, **scalars}.items()}
    value = loss(leaves)
    found = dict(zip(leaves, torch.autograd.grad(value, list(leaves.values())), strict=True))
    sizes = [len(outputs[FEATURES[0]]) for outputs in seen]
    shares = {name: torch.split(found[name], sizes) for name in FEATURES}
    for part in range(parts):
        last = part == parts - 1
        _restore(states[part])
        with nullcontext() if last else _apart(model):
            outputs = forward(part)
            names = [*FEATURES, *scalars] if last else [*FEATURES]
            gradients = [shares[name][part] if name in FEATURES else found[name] for name in names]
            torch.autograd.backward([outputs[name] for name in names], gradients)
    return value.detach()


def _apart(model: nn.Module) -> AbstractContextManager[object]:
    """Processes add up their gradients once, after the last part."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


def _generators() -> Sequence[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]


def _restore(states: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])
