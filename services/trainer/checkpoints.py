"""Checkpoints: tensors as safetensors, the rest as JSON; parts first, the manifest last.

A checkpoint without a manifest does not exist, one whose parts differ from it is passed over, so that a crash at any
moment leaves the one before. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from services.trainer.store import Missing, Store

ROOT = "training/checkpoints/"
MANIFEST = "manifest.json"
STATE = "state.json"
SCHEMA = 1

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """`parts` are tensors by part name (model, optimizer, average); `state` is everything else.

    No generator's state is kept: all randomness is a function of the seed, the step and the sample.
    """

    step: int
    state: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Tensor]]

    @property
    def key(self) -> str:
        return folder(self.step)


def folder(step: int) -> str:
    return f"{ROOT}{step:09d}/"


def write_checkpoint(store: Store, checkpoint: Checkpoint) -> int:
    """Its bytes in the store."""
    files = {f"{name}.safetensors": save(dict(part)) for name, part in checkpoint.parts.items()}
    files[STATE] = json.dumps({"schema": SCHEMA, **checkpoint.state}, sort_keys=True).encode()
    for name, data in files.items():
        store.put(checkpoint.key + name, data)
    listing = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    manifest = {"schema": SCHEMA, "step": checkpoint.step, "at": round(time.time(), 3), "parts": listing}
    store.put(checkpoint.key + MANIFEST, json.dumps(manifest, sort_keys=True).encode())
    return sum(len(data) for data in files.values())


def copies(part: Tensors) -> dict[str, Tensor]:
    """On the CPU, in memory of their own: training goes on while they are written."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in part.items()}


def read_newest(store: Store, architecture: str) -> Checkpoint | None:
    """The newest whole checkpoint of this architecture; says which ones it passes over. None where there is none."""
    for step in complete_steps(store):
        try:
            checkpoint = read_checkpoint(store, step)
        except TornCheckpoint as exc:
            structlog.get_logger().error(
                "checkpoint_torn", checkpoint=folder(step), error=str(exc), used="the one before"
            )
            continue
        found = checkpoint.state.get("architecture")
        if found == architecture:
            return checkpoint
        structlog.get_logger().error(
            "checkpoint_foreign", checkpoint=folder(step), of=found, wanted=architecture, used="the one before"
        )
    return None


class TornCheckpoint(Exception):
    """Parts that are missing or not those of the manifest."""


def read_checkpoint(store: Store, step: int) -> Checkpoint:
    """Raises TornCheckpoint."""
    try:
        manifest = json.loads(store.get(folder(step) + MANIFEST))
        files = dict(_verified(store, step, manifest["parts"]))
        state = json.loads(files.pop(STATE))
        parts = {name.removesuffix(".safetensors"): load(data) for name, data in files.items()}
    except (Missing, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as exc:
        raise TornCheckpoint(f"{type(exc).__name__}: {exc}") from exc
    return Checkpoint(step, state, parts)


def complete_steps(store: Store) -> list[int]:
    """Steps with a manifest, newest first."""
    found = (key.removeprefix(ROOT).split("/") for key in store.keys(ROOT))
    return sorted((int(parts[0]) for parts in found if parts[0].isdigit() and parts[1:] == [MANIFEST]), reverse=True)


def remove_checkpoint(store: Store, step: int) -> None:
    store.delete(folder(step) + MANIFEST)
    for key in list(store.keys(folder(step))):
        store.delete(key)


def _verified(store: Store, step: int, listing: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, bytes]]:
    for name, expected in listing.items():
        data = store.get(folder(step) + name)
        found = hashlib.sha256(data).hexdigest()
        if found != expected["sha256"]:
            raise TornCheckpoint(f"{name} has {len(data)} bytes and sha256 {found[:12]}, not those of the manifest")
        yield name, data
