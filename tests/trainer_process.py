"""One process of a training run, as the tests start it: `python -m tests.trainer_process gradients|train ...`.

RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say which process of how many it is, as torchrun's do.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import open_clip
import torch
import typer
from safetensors.torch import save_file

from services.trainer.batches import Batch
from services.trainer.clip import build_clip
from services.trainer.command import train_folder
from services.trainer.ranks import ranks_from_environment
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
    """In float64, of the whole batch, of which this process sees its share; the first one writes them."""
    (out / "no-norms-over-batches.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(out)
    ranks, device = ranks_from_environment(), torch.device("cpu")
    ranks.join(device)
    base = make_recipe(TrainerSettings(), None)
    recipe = replace(base, model="no-norms-over-batches", image_pixels=32, context_length=16, batch_size=BATCH)
    clip = build_clip(recipe)
    clip.model.double()
    stepper = Stepper(clip, recipe, ranks, device)
    images = torch.randint(0, 255, (BATCH, 3, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    tokens = clip.tokenize([f"number {n}" for n in range(BATCH)])
    share = BATCH // ranks.size
    mine = slice(ranks.rank * share, (ranks.rank + 1) * share)
    stepper.loss(Batch(images[mine], tokens[mine], (), 0.0)).backward()
    if ranks.leads:
        found = {name: p.grad for name, p in clip.model.named_parameters() if p.grad is not None}
        save_file(found, out / f"gradients-{ranks.size}.safetensors")
    ranks.leave()


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
