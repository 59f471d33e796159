"""Puts a run together from settings: the same for the service and for `entityflow train`."""

from __future__ import annotations

import threading
from pathlib import Path

import torch

from services.trainer.knowledge import Knowledge, latest_version, read_knowledge
from services.trainer.progress import Progress
from services.trainer.publisher import Tell
from services.trainer.ranks import Ranks, choose_device
from services.trainer.recipe import Recipe
from services.trainer.settings import TrainerSettings
from services.trainer.shard_log import ShardLog
from services.trainer.shard_room import ShardRoom
from services.trainer.store import Store
from services.trainer.trainer import Surroundings, Trainer

METRICS_FILE = "metrics.jsonl"


def build_trainer(
    settings: TrainerSettings,
    recipe: Recipe,
    store: Store,
    log: ShardLog,
    room: ShardRoom,
    tell: Tell,
    stop: threading.Event,
    ranks: Ranks,
    folder: Path,
    knowledge: Knowledge | None = None,
) -> Trainer:
    """`knowledge`: this one, instead of the snapshots in the store. Joins the other processes of the run."""
    torch.set_num_threads(settings.trainer_threads)
    device = choose_device(settings.trainer_device, ranks.local_rank)
    ranks.join(device)
    folder.mkdir(parents=True, exist_ok=True)
    around = Surroundings(
        store=store,
        log=log,
        room=room,
        newest_knowledge=lambda: knowledge or read_knowledge(store, latest_version(store)),
        knowledge=lambda version: knowledge or read_knowledge(store, version),
        progress=Progress(folder / METRICS_FILE if ranks.leads else None, recipe.batch_size),
        tell=tell,
    )
    return Trainer(recipe, settings, around, ranks, device, stop)
