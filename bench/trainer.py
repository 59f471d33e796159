"""The trainer's data path beside open_clip's own pipeline on the same shards, and what a checkpoint costs.

    python bench/trainer.py [--pictures 400] [--rounds 3]

Prints pictures per second of processor time (one core), from tar to batch at 224 pixels: ours, and the pipeline of
open_clip's training script (webdataset, Pillow, RandomResizedCrop, its tokenizer), in the same run on the same JPEGs of
512 x 384. Then the tokenizer, the share of the time that steps wait for data with the tiny model, and bytes and seconds
of a checkpoint and of going on from it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import webdataset
from open_clip.transform import AugmentationCfg, PreprocessCfg, image_transform_v2
from PIL import Image

from services.trainer.batches import Batches, View
from services.trainer.building import build_trainer
from services.trainer.checkpoints import read_newest, write_checkpoint
from services.trainer.clip import build_clip
from services.trainer.knowledge import NOTHING
from services.trainer.ledger import Ledger
from services.trainer.plans import Plan, plan_new
from services.trainer.ranks import Ranks
from services.trainer.recipe import Recipe, make_recipe
from services.trainer.saving import restore, snapshot
from services.trainer.settings import TrainerSettings
from services.trainer.shard_log import FolderLog, find_tars
from services.trainer.shard_room import FilesInPlace, ShardRoom
from services.trainer.state import RunState
from services.trainer.stepping import Stepper
from services.trainer.store import Folder

WIDTH, HEIGHT, PIXELS, BATCH = 512, 384, 224, 32
SHARDS = 4
KINDS = ("small", "large", "old", "new")


def write_shards(folder: Path, pictures: int) -> None:
    """Smooth pictures with a little noise: about 70 kB each, as photographs of that size have."""
    numbers = np.random.default_rng(0)
    for shard in range(SHARDS):
        with tarfile.open(folder / f"{shard:06d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for number in range(shard, pictures, SHARDS):
                caption = f"picture {number} of a {KINDS[number % 4]} thing in the field"
                record = json.dumps({"texts": [{"text": caption}]})
                add(tar, f"{number:08d}.jpg", jpeg(numbers))
                add(tar, f"{number:08d}.txt", caption.encode())
                add(tar, f"{number:08d}.json", record.encode())


def jpeg(numbers: np.random.Generator) -> bytes:
    coarse = Image.fromarray(numbers.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(int)
    noisy = np.clip(smooth + numbers.integers(-6, 6, smooth.shape), 0, 255).astype(np.uint8)
    written = io.BytesIO()
    Image.fromarray(noisy).save(written, "JPEG", quality=90)
    return written.getvalue()


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def admitted(folder: Path, room: ShardRoom) -> Ledger:
    """Each shard looked through, as happens once before it is drawn from again and again."""
    return room.admit_all(Ledger(), FolderLog(find_tars([folder])).since(0).shards, NOTHING)[0]


def ours(room: ShardRoom, plan: Plan, tokenize: Callable[[list[str]], torch.Tensor]) -> Iterator[int]:
    """Sizes of the batches of one plan over all shards."""
    view = View(PIXELS, 1.0, tokenize)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool, room.opened(plan) as shards:
        for _, batch in Batches(plan, shards, NOTHING, view, Ranks()).ahead(0, pool, 2):
            yield len(batch.keys)


def open_clips(folder: Path, tokenizer: Callable[[str], torch.Tensor]) -> Iterator[int]:
    """As open_clip's training script builds it, without workers."""
    transform = image_transform_v2(PreprocessCfg(size=PIXELS), is_train=True, aug_cfg=AugmentationCfg())
    pipeline = webdataset.DataPipeline(
        webdataset.SimpleShardList([str(tar) for tar in sorted(folder.glob("*.tar"))]),
        webdataset.tarfile_to_samples(),
        webdataset.shuffle(1000),
        webdataset.decode("pilrgb"),
        webdataset.rename(image="jpg;png;jpeg;webp", text="txt"),
        webdataset.map_dict(image=transform, text=lambda text: tokenizer(text)[0]),
        webdataset.to_tuple("image", "text"),
        webdataset.batched(BATCH, partial=True, collation_fn=lambda rows: [torch.stack(x) for x in zip(*rows)]),  # noqa: B905
    )
    for images, _ in pipeline:
        yield len(images)


def per_core(batches: Iterator[int]) -> float:
    """Pictures per second of processor time, whatever else the machine does."""
    began, count = time.process_time(), 0
    for size in batches:
        count += size
    return count / (time.process_time() - began)


def tokens_per_second(tokenize: Callable[[list[str]], torch.Tensor]) -> float:
    texts = [f"a photo number {n} of some thing that stands in a field near the river" for n in range(2000)]
    began = time.process_time()
    tokens = tokenize(texts)
    return float((tokens != 0).sum()) / (time.process_time() - began)


def checkpoint_figures(recipe: Recipe, folder: Path) -> tuple[int, float, float]:
    """(bytes, seconds to write, seconds to go on from it)."""
    stepper = Stepper(build_clip(recipe), recipe, Ranks(), torch.device("cpu"))
    for parameter in stepper.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    stepper.optimizer.step()
    store = Folder(folder)
    began = time.monotonic()
    size = write_checkpoint(store, snapshot(stepper, RunState(step=1), recipe, "folder", 0))
    written = time.monotonic() - began
    began = time.monotonic()
    found = read_newest(store, recipe.architecture())
    assert found is not None
    restore(found, Stepper(build_clip(recipe), recipe, Ranks(), torch.device("cpu")), "folder")
    return size, written, time.monotonic() - began


def data_wait(tars: Path, out: Path, recipe: Recipe) -> tuple[float, float]:
    """(samples per second, share of the time that steps waited) of a short run of the tiny model."""
    settings = TrainerSettings(trainer_exit_when_idle=True, trainer_threads=1, trainer_loaders=1)  # type: ignore[call-arg]
    room, log = ShardRoom(FilesInPlace()), FolderLog(find_tars([tars]))
    run = build_trainer(settings, recipe, Folder(out), log, room, lambda _: None, threading.Event(), Ranks(), out)
    run.run()
    steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in steps if line["event"] == "step"]
    seconds = steps[-1]["at"] - steps[0]["at"]
    waited = sum(line["waited_seconds"] for line in steps[1:])
    return (len(steps) - 1) * recipe.batch_size / seconds, waited / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("ENTITYFLOW_LOG_LEVEL", "WARNING")
    torch.set_num_threads(1)
    base = make_recipe(TrainerSettings(), None)  # type: ignore[call-arg]
    recipe = replace(base, batch_size=BATCH, image_pixels=PIXELS)
    clip = build_clip(recipe)
    with tempfile.TemporaryDirectory() as scratch:
        tars = Path(scratch) / "tars"
        tars.mkdir()
        write_shards(tars, options.pictures)
        sizes = [tar.stat().st_size for tar in tars.glob("*.tar")]
        print(f"{options.pictures} JPEGs of {WIDTH} x {HEIGHT}, {sum(sizes) // options.pictures} bytes each in the tar")
        room = ShardRoom(FilesInPlace())
        began = time.process_time()
        ledger = admitted(tars, room)
        print(
            f"looking a shard through, once: {options.pictures / (time.process_time() - began):.0f} pictures/s a core"
        )
        plan = plan_new(recipe, ledger, ledger.usable(), RunState().place(None))
        pairs = [
            (per_core(ours(room, plan, clip.tokenize)), per_core(open_clips(tars, clip.tokenizer)))
            for _ in range(options.rounds)
        ]
        mine, theirs = (statistics.median(figures) for figures in zip(*pairs, strict=True))
        print(
            f"data path, pictures/s a core: ours {mine:.0f}, open_clip's pipeline {theirs:.0f}, {mine / theirs:.1f} x"
        )
        print(f"tokenizer, tokens/s a core: {tokens_per_second(clip.tokenize):.0f}")
        small = replace(recipe, image_pixels=64, passes=2, group_steps=20)
        speed, share = data_wait(tars, Path(scratch) / "run", small)
        print(f"tiny model at 64 pixels on one thread: {speed:.0f} samples/s, {share:.0%} of the time waiting for data")
        for model, pixels in (("tiny", 64), ("ViT-S-32-alt", 224)):
            size, written, resumed = checkpoint_figures(
                replace(base, model=model, image_pixels=pixels), Path(scratch) / model
            )
            print(f"checkpoint of {model}: {size / 1e6:.0f} MB, written in {written:.1f} s, read in {resumed:.1f} s")


if __name__ == "__main__":
    main()
