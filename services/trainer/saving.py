"""A run as a checkpoint, and back."""

from __future__ import annotations

from typing import Any

import torch

from entityflow import __version__
from entityflow.errors import UserError
from services.trainer.checkpoints import Checkpoint, copies
from services.trainer.optimizing import optimizer_tensors, restore_optimizer
from services.trainer.recipe import Recipe
from services.trainer.state import RunState
from services.trainer.stepping import Stepper


def snapshot(stepper: Stepper, state: RunState, recipe: Recipe, log: str, bad_steps: int) -> Checkpoint:
    """All that a run needs to go on, as copies; `log` is the identity of the log of shards."""
    plain = {
        "architecture": recipe.architecture(),
        "recipe": recipe.to_plain(),
        "log": log,
        "code": __version__,
        "torch": torch.__version__,
        "bad_steps": bad_steps,
        **state.to_plain(),
    }
    parts = {
        "model": copies(stepper.model.state_dict()),
        "optimizer": copies(dict(optimizer_tensors(stepper.model, stepper.optimizer))),
        "average": copies(stepper.average.tensors),
    }
    return Checkpoint(state.step, plain, parts)


def restore(checkpoint: Checkpoint, stepper: Stepper, log: str) -> tuple[RunState, int]:
    """(state, bad steps in a row). Raises UserError where the checkpoint belongs to another log of shards."""
    found: Any = checkpoint.state["log"]
    if found != log:
        raise UserError(
            f"checkpoint {checkpoint.key} was made with another `shard` topic ({found})",
            hint="remove training/ in the bucket to begin anew, or use the topic's own prefix",
        )
    stepper.model.load_state_dict(dict(checkpoint.parts["model"]))
    restore_optimizer(stepper.model, stepper.optimizer, dict(checkpoint.parts["optimizer"]))
    for name, value in checkpoint.parts["average"].items():
        stepper.average.tensors[name].copy_(value)
    state = RunState.from_plain(checkpoint.state)
    stepper.step = state.step
    return state, int(checkpoint.state["bad_steps"])
