"""One process of a training run, as the tests start it: `python -m tests.trainer_process gradients|train ...`.

RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say which process of how many it is, as torchrun's do.
"""

import json
import os
import socket
import sys
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import torch
import typer
from safetensors.torch import save_file

from services.trainer.batches import Batch
from services.trainer.clip import build_clip
from services.trainer.command import train_folder
from services.trainer.ranks import Ranks
from services.trainer.recipe import make_recipe
from services.trainer.settings import TrainerSettings
from services.trainer.stepping import Stepper

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
BATCH = 8


def gradients(out: Path) -> None:
    """In float64, for both losses, of 1, 2 and 4 processes that take their share at once or in parts."""
    configuration = out / "no-norms-over-batches.json"
    configuration.write_text(json.dumps(MODEL))
    for size, parts in ((1, 1), (1, 4), (2, 1), (2, 2), (4, 1)):
        port = free_port()
        arguments = [(configuration, parts, Ranks(rank, size), port) for rank in range(size)]
        processes = [get_context("fork").Process(target=one_rank, args=each) for each in arguments]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            sys.exit(1)


def one_rank(configuration: Path, parts: int, ranks: Ranks, port: int) -> None:
    os.environ.update(RANK=str(ranks.rank), WORLD_SIZE=str(ranks.size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    device = torch.device("cpu")
    ranks.join(device)
    for loss in ("clip", "siglip"):
        base = make_recipe(TrainerSettings(), None)
        sizes = {"image_pixels": 32, "context_length": 16, "batch_size": BATCH}
        recipe = replace(base, model=str(configuration), loss=loss, parts=parts, **sizes)  # type: ignore[arg-type]
        clip = build_clip(recipe)
        clip.model.double()
        stepper = Stepper(clip, recipe, ranks, device)
        images = torch.randint(0, 255, (BATCH, 3, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
        tokens = clip.tokenize([f"number {n}" for n in range(BATCH)])
        share = BATCH // ranks.size
        mine = slice(ranks.rank * share, (ranks.rank + 1) * share)
        stepper.backward(Batch(images[mine], tokens[mine], torch.full((share, 2), 0.5), (), 0.0))
        if ranks.leads:
            found = {name: p.grad for name, p in clip.model.named_parameters() if p.grad is not None}
            save_file(found, configuration.parent / f"{loss}-{ranks.size}-{parts}.safetensors")
    ranks.leave()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def train(shards: Path, out: Path) -> None:
    """A run over a folder to its end; the first process writes what it drew."""
    settings = TrainerSettings(
        trainer_image_pixels=32,
        trainer_context_length=16,
        trainer_batch_size=4,
        trainer_passes=int(sys.argv[4]),
        trainer_exit_when_idle=True,
        trainer_checkpoint_steps=3,
        trainer_group_steps=8,
        trainer_threads=1,
    )
    try:
        train_folder(settings, [shards], out, None)
    except typer.Exit as stopped:
        sys.exit(stopped.exit_code)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "gradients":
        gradients(Path(sys.argv[2]))
    else:
        train(Path(sys.argv[2]), Path(sys.argv[3]))
