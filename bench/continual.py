"""What replay and averaging keep: four groups of entities that come one after the other, the tiny model.

    python bench/continual.py [--seeds 3] [--passes 40] [--out FILE.json]

48 things of the demo web's pictures, drawn on other grounds, sizes and angles: 24 pictures of each to train on, 8 held
out. The trainer itself learns group after group with no replay, a tenth and a quarter of it, beside all groups at once,
with about equal total draws in every arm. Prints mean zero-shot accuracy among all 48, of the average that is published
and of the weights as they are, and forgetting: how much of its best accuracy a group lost until the end, on average.
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
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from entityflow.embedded.corpus import build_corpus, read_corpus
from services.trainer.averaging import wearing
from services.trainer.building import build_trainer
from services.trainer.evaluation import evaluate
from services.trainer.knowledge import EntityTexts, Knowledge
from services.trainer.ranks import Ranks
from services.trainer.recipe import Recipe, make_recipe
from services.trainer.settings import TrainerSettings
from services.trainer.shard_log import FolderLog, find_tars
from services.trainer.shard_room import FilesInPlace, ShardRoom
from services.trainer.store import Folder
from services.trainer.trainer import Trainer

GROUPS, ENTITIES, TRAINED, HELD_OUT, PIXELS, BATCH = 4, 12, 24, 8, 32, 48
ARMS: dict[str, float | None] = {"joint": None, "no replay": 0.0, "10 % replay": 0.1, "25 % replay": 0.25}
CPU = torch.device("cpu")

Things = list[tuple[str, list[Path]]]


def things() -> Things:
    """Titles with two drawings or more: (title, files)."""
    folder = build_corpus(print)
    files: dict[str, list[Path]] = {}
    for picture in read_corpus(folder):
        files.setdefault(picture.title.lower(), []).append(folder / picture.file)
    found = [(title, paths) for title, paths in sorted(files.items()) if len(paths) > 1]
    return [found[place] for place in np.random.default_rng(0).permutation(len(found))[: GROUPS * ENTITIES]]


def drawn(file: Path, numbers: np.random.Generator) -> bytes:
    """The picture on another ground, at another size, place, angle and brightness."""
    ground = Image.new("RGB", (48, 48), tuple(int(x) for x in numbers.integers(90, 256, 3)))
    with Image.open(file) as picture:
        side = int(numbers.integers(30, 46))
        thing = picture.convert("RGBA").resize((side, side)).rotate(float(numbers.uniform(-25, 25)))
    thing = ImageEnhance.Brightness(thing).enhance(float(numbers.uniform(0.7, 1.3)))
    ground.paste(thing, tuple(int(x) for x in numbers.integers(0, 49 - side, 2)), thing)
    written = io.BytesIO()
    ground.save(written, "JPEG", quality=90)
    return written.getvalue()


def write_group(folder: Path, group: int, chosen: Things) -> None:
    numbers = np.random.default_rng(group)
    for suffix, count in ((".tar", TRAINED), (".heldout.tar", HELD_OUT)):
        with tarfile.open(folder / f"group{group}{suffix}", "w", format=tarfile.USTAR_FORMAT) as tar:
            for turn in range(count):
                for title, files in chosen[group * ENTITIES : (group + 1) * ENTITIES]:
                    key = f"{title.replace(' ', '-')}-{turn:02d}"
                    record = {"texts": [{"text": title}], "entities": [{"id": title}]}
                    _add(tar, f"{key}.jpg", drawn(files[turn % len(files)], numbers))
                    _add(tar, f"{key}.json", json.dumps(record).encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def knowledge_of(chosen: Things) -> Knowledge:
    return Knowledge("bench", {title: EntityTexts(title, (title,)) for title, _ in chosen})


def train(tars: list[Path], out: Path, recipe: Recipe, known: Knowledge) -> Trainer:
    settings = TrainerSettings(  # type: ignore[call-arg]
        trainer_exit_when_idle=True, trainer_threads=1, trainer_loaders=1, trainer_checkpoint_steps=100_000
    )
    log, room = FolderLog(find_tars(tars)), ShardRoom(FilesInPlace())
    run = build_trainer(
        settings, recipe, Folder(out), log, room, lambda _: None, threading.Event(), Ranks(), out, known
    )
    run.run()
    return run


def accuracies(
    run: Trainer, weights: Mapping[str, Tensor], known: Knowledge, chosen: Things, tars: Path
) -> list[float]:
    """Of each group, among the names of all groups."""
    room = ShardRoom(FilesInPlace())
    references = FolderLog(find_tars([tars])).since(0).shards
    heldout = room.heldout(room.admit_all(run.state.ledger, references, known)[0])
    with wearing(run.stepper.model, weights):
        found = evaluate(run.stepper.clip, heldout, known, CPU)
    group_of = {title: place // ENTITIES for place, (title, _) in enumerate(chosen)}
    hits: list[list[bool]] = [[] for _ in range(GROUPS)]
    for sample, hit in zip(found.samples, found.entities, strict=True):
        hits[group_of[sample.entities[0]]].append(bool(hit))
    return [sum(group) / len(group) for group in hits]


def arm(
    share: float | None, seed: int, passes: int, tars: Path, chosen: Things, out: Path
) -> dict[str, list[list[float]]]:
    """Rows of accuracies by group, one after each group, of the average and of the raw weights."""
    known = knowledge_of(chosen)
    base = replace(
        make_recipe(TrainerSettings(), None),  # type: ignore[call-arg]
        image_pixels=PIXELS,
        context_length=16,
        batch_size=BATCH,
        learning_rate=1e-3,
        ema_half_life_steps=30,
        group_steps=25,
        seed=seed,
        replay_share=share or 0.0,
        passes=passes if share is None else round(passes * (1 - share)),
    )
    groups = [tars / f"group{group}.tar" for group in range(GROUPS)]
    found: dict[str, list[list[float]]] = {"average": [], "raw": []}
    for count in range(1, GROUPS + 1) if share is not None else [GROUPS]:
        run = train(groups[:count], out, base, known)
        raw = {name: value.clone() for name, value in run.stepper.model.state_dict().items()}
        found["average"].append(accuracies(run, run.stepper.average.tensors, known, chosen, tars))
        found["raw"].append(accuracies(run, raw, known, chosen, tars))
    print(f"  seed {seed}: {run.state.step * BATCH} draws, {[round(x, 2) for x in found['average'][-1]]}", flush=True)
    return found


def forgetting(rows: list[list[float]]) -> float:
    """Mean over the groups but the last of the best accuracy it ever had less that at the end."""
    if len(rows) < 2:
        return 0.0
    return statistics.mean(max(row[group] for row in rows[group:]) - rows[-1][group] for group in range(GROUPS - 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=40, help="draws of each picture in the arm without replay")
    parser.add_argument("--out", type=Path, help="write every row as JSON")
    options = parser.parse_args()
    os.environ["ENTITYFLOW_LOG_LEVEL"] = "ERROR"
    torch.set_num_threads(1)
    chosen, results = things(), {}
    with tempfile.TemporaryDirectory() as scratch:
        tars = Path(scratch) / "tars"
        tars.mkdir()
        for group in range(GROUPS):
            write_group(tars, group, chosen)
        for name, share in ARMS.items():
            print(name)
            results[name] = [
                arm(share, seed, options.passes, tars, chosen, Path(scratch) / f"{name}-{seed}")
                for seed in range(options.seeds)
            ]
            if options.out:
                options.out.write_text(json.dumps(results))
    print(f"{'':14}{'average: accuracy':>20}{'forgetting':>12}{'raw: accuracy':>16}{'forgetting':>12}")
    for name, seeds in results.items():
        figures = [
            (
                statistics.mean(statistics.mean(s[kind][-1]) for s in seeds),
                statistics.mean(forgetting(s[kind]) for s in seeds),
            )
            for kind in ("average", "raw")
        ]
        (accuracy, lost), (raw_accuracy, raw_lost) = figures
        print(f"{name:14}{accuracy:>20.3f}{lost:>12.3f}{raw_accuracy:>16.3f}{raw_lost:>12.3f}")


if __name__ == "__main__":
    main()
