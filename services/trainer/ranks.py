"""The processes of one run: who this one is, and how they agree. torchrun's environment variables say it.

Control messages go over a gloo group of their own with a time-out of hours: a stream may be silent for long, and NCCL's
watchdog must not end a run that only waits.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

CONTROL_TIMEOUT = timedelta(hours=24)
STEP_TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True)
class Ranks:
    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "_control", None)

    def join(self, device: torch.device) -> None:
        """Meet the other processes; nothing to do for one."""
        if self.size > 1:
            backend = "nccl" if device.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=STEP_TIMEOUT)
            object.__setattr__(self, "_control", dist.new_group(backend="gloo", timeout=CONTROL_TIMEOUT))

    def leave(self) -> None:
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def from_leader(self, value: Any) -> Any:
        """The leader's value, on every process."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._control)  # type: ignore[attr-defined]
        return box[0]


def ranks_from_environment() -> Ranks:
    return Ranks(
        int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    )


def choose_device(wanted: str, local_rank: int) -> torch.device:
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    return torch.device("cuda", local_rank)
