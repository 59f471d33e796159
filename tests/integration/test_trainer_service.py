"""The trainer as a process on a real broker and store, and the commands over what it published."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest

from entityflow.admin import Admin
from entityflow.objects import Objects
from entityflow.records import Entity, Model, NaturalType, Shard, ShardInput
from entityflow.settings import Settings
from entityflow.shards import Manifest, ShardObject, shard_id, stem
from entityflow.stage import Send, produce_all, read_topic
from services.entity_harvester.knowledge import make_snapshot, write_snapshot
from services.trainer.bucket import Bucket
from services.trainer.checkpoints import complete_steps
from services.trainer.shard_cache import file_sha256
from tests.integration.command import environment, json_of, run_command
from tests.trainer_metrics import steps_taken
from tests.trainer_shards import COLOURS, shard
from tests.waiting import eventually

SECONDS = 120
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    processes = []

    def begin(**more: str) -> subprocess.Popen[bytes]:
        own = {
            "ENTITYFLOW_TRAINER_IMAGE_PIXELS": "32",
            "ENTITYFLOW_TRAINER_BATCH_SIZE": "8",
            "ENTITYFLOW_TRAINER_PASSES": "3",
            "ENTITYFLOW_TRAINER_THREADS": "1",
            "ENTITYFLOW_TRAINER_EXIT_WHEN_IDLE": "true",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "entityflow.serve", "trainer"], env=environment(settings, **{**own, **more})
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def objects(settings: Settings) -> Objects:
    """A bucket with a knowledge snapshot of four entities."""
    made = Objects(settings)
    made.ensure_bucket()
    things = [
        Entity(id=f"Q-{name}", label=f"{name} thing", lang="en", natural_type=NaturalType(id=f"T-{name}", label=name))
        for name in COLOURS
    ]
    write_snapshot(made, make_snapshot(things))
    return made


def put_shard(objects: Objects, folder: Path, number: int) -> Shard:
    """Shard files as the sharder leaves them, 16 samples and 4 held out; returns the event, which is not sent."""
    start = 100 * number

    def put(name: str, count: int, first: int) -> ShardObject:
        path = shard(folder / name, count, first=first)
        sha256 = file_sha256(path)
        key = f"{stem(0, start)}-{sha256[:12]}{'.heldout' if 'heldout' in name else ''}.tar"
        objects.put(key, path)
        return ShardObject(key=key, bytes=path.stat().st_size, sha256=sha256)

    manifest = Manifest(
        shard_id=shard_id(0, start),
        version=1,
        input=ShardInput(topic_uuid="u", partition=0, start=start, end=start + 99),
        count=16,
        heldout_count=4,
        tar=put(f"{number}.tar", 16, start),
        heldout=put(f"{number}.heldout.tar", 4, start + 50),
        entities=4,
        schema_fingerprints=(),
        writer_version="1",
    )
    objects.put(manifest.key, manifest.encode())
    event = manifest.event()
    assert event is not None
    return event


def tell(settings: Settings, *events: Shard) -> None:
    produce_all("sharder", settings, [Send("shard", event) for event in events], ["shard"])


def models(settings: Settings) -> list[Model]:
    return [record for _, record in read_topic(settings, "model") if isinstance(record, Model)]


def test_shards_become_a_published_model_once_and_more_shards_another(
    settings: Settings, objects: Objects, start: Start, tmp_path: Path
) -> None:
    first, second = (put_shard(objects, tmp_path, number) for number in (1, 2))
    tell(settings, first, first)

    assert start().wait(SECONDS) == 0
    once = models(settings)
    assert start().wait(SECONDS) == 0
    again = models(settings)
    tell(settings, second)
    assert start().wait(SECONDS) == 0

    assert again == once
    before, after = models(settings)
    assert before.metrics["chance"] == 0.25
    assert (before.metrics["heldout"], after.metrics["heldout"]) == (4, 8)
    assert {"accuracy", "accuracy_low", "accuracy_high", "accuracy_before", "entity_accuracy"} <= set(after.metrics)
    assert after.shards == (f"{first.shard_id}.v1", f"{second.shard_id}.v1")
    assert after.knowledge_version
    assert Admin(settings).committed("trainer", "shard") == {0: 3}
    assert_open_clip_loads(settings, tmp_path / "model", after.version)
    promoted = json_of(settings, "model", "promote", before.version, "--why", "by eye")
    assert (promoted["version"], promoted["promoted"]) == (before.version, True)
    assert json_of(settings, "model", "list")["champion"] == before.version
    assert replace(before, promoted=True, why="by eye") == models(settings)[-1]


def assert_open_clip_loads(settings: Settings, folder: Path, version: str) -> None:
    listed = json_of(settings, "model", "list")
    pulled = run_command(settings, "model", "pull", str(folder), "--version", "latest")

    assert pulled.returncode == 0, pulled.stderr
    assert [model["version"] for model in listed["models"]][-1] == listed["latest"] == version
    assert len(json.loads((folder / "lineage.json").read_bytes())["shards"]) == 2
    loaded, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    assert loaded.visual.image_size == 32


def test_a_shard_with_other_bytes_or_without_manifest_is_left_out_and_the_rest_trains(
    settings: Settings, objects: Objects, start: Start, tmp_path: Path
) -> None:
    good, bad = (put_shard(objects, tmp_path, number) for number in (1, 2))
    objects.put(f"{stem(0, 200)}-{bad.sha256[:12]}.tar", b"other bytes")
    gone = replace(good, shard_id=shard_id(0, 900))
    tell(settings, bad, gone, good)

    assert start().wait(SECONDS) == 0

    (model,) = models(settings)
    assert model.shards == (f"{good.shard_id}.v1",)


def test_sigterm_in_the_middle_leaves_a_checkpoint_and_code_zero(
    settings: Settings, objects: Objects, start: Start, tmp_path: Path
) -> None:
    tell(settings, put_shard(objects, tmp_path, 1))
    out = settings.state_dir / "trainer" / settings.prefix
    process = start(ENTITYFLOW_TRAINER_PASSES="100000")
    eventually(lambda: steps_taken(out) > 3, SECONDS)

    process.send_signal(signal.SIGTERM)

    assert process.wait(SECONDS) == 0
    steps = complete_steps(Bucket(settings))
    assert steps[0] >= 4
    assert models(settings) == []


def test_asking_for_a_model_before_the_first_says_so(settings: Settings, objects: Objects, tmp_path: Path) -> None:
    pulled = run_command(settings, "model", "pull", str(tmp_path / "model"))

    assert pulled.returncode == 1
    assert "no model clip is published yet" in pulled.stderr
