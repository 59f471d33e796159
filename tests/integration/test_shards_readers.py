"""Shards in a real store: what readers of others make of them, and what verify finds when they are spoilt."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from entityflow import shard_checks
from entityflow.objects import Objects
from entityflow.records import Record, Seal
from entityflow.settings import Settings
from entityflow.shards import list_manifests
from tests.cutting import cut_log, surroundings
from tests.filtered_pairs import pair, picture
from tests.integration.command import json_of, run_command

PAIRS = 14
HELD_OUT = (3, 9)
ASKED = Seal(partition=0, start=0, cause="asked")

Shard = Callable[..., None]


@pytest.fixture
def objects(settings: Settings) -> Objects:
    return Objects(settings, budget_seconds=10)


@pytest.fixture
def shard(objects: Objects, tmp_path: Path) -> Shard:
    """Cuts a log into shards of five samples, as the service does."""

    def cut(log: list[Record], partition: int = 0, first: int = 0) -> None:
        cut_log(replace(surroundings(tmp_path / "spool", 5), objects=objects), log, partition, first)

    return cut


@pytest.fixture
def stocked(shard: Shard) -> None:
    """Three shards in the store."""
    shard([*(pair(number, heldout=number in HELD_OUT) for number in range(PAIRS)), ASKED])


@pytest.fixture
def pulled(stocked: None, settings: Settings, tmp_path: Path) -> Path:
    ran = run_command(settings, "shards", "pull", str(tmp_path / "pairs"))
    assert ran.returncode == 0, ran.stderr
    return tmp_path / "pairs"


def tars(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.tar"))


TRAINING = [number for number in range(PAIRS) if number not in HELD_OUT]


def test_a_copy_has_numbered_tars_their_sizes_and_a_table_of_the_training_samples(pulled):
    assert tars(pulled) == ["00000.tar", "00001.tar", "00002.tar"]
    assert json.loads((pulled / "sizes.json").read_text()) == {"00000.tar": 4, "00001.tar": 4, "00002.tar": 4}
    keys = pq.read_table(pulled / "metadata.parquet")["key"].to_pylist()
    assert keys == [pair(number).image_id for number in TRAINING]
    assert "00000..00002" in (pulled / "README.md").read_text()


def outside(folder: Path, program: str) -> list[str]:
    """Lines of a program of a user, in a process of its own, which cannot reach a network it does not need."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / ".hf")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_webdataset_reads_every_sample_of_a_copy(pulled):
    program = """
import webdataset
data = webdataset.WebDataset("{00000..00002}.tar", shardshuffle=False).decode("pil")
for one in data:
    print(one["__key__"], one["jpg"].size, one["txt"], one["json"]["texts"][0]["text"])
"""

    assert outside(pulled, program) == [described(number) for number in TRAINING]


def described(number: int) -> str:
    return f"{pair(number).image_id} (24, 16) ält {number} title {number}"


def test_datasets_reads_every_sample_of_a_copy(pulled):
    program = """
from datasets import load_dataset
for one in load_dataset("webdataset", data_files={"train": "[0-9][0-9][0-9][0-9][0-9].tar"}, split="train"):
    print(one["__key__"], one["jpg"].size, one["txt"], one["json"]["texts"][0]["text"])
"""

    assert outside(pulled, program) == [described(number) for number in TRAINING]


def test_the_loader_of_open_clip_reads_a_copy_and_its_sizes(pulled):
    # webdataset 1.0 marks the end of each tar, which open_clip 3.3 takes for a sample: the mark is switched off
    program = """
from functools import partial
from types import SimpleNamespace
from open_clip_train import data
from open_clip_train.data import get_wds_dataset
data.tar_file_expander = partial(data.tar_file_expander, eof_value=None)
args = SimpleNamespace(
    train_data="{00000..00002}.tar", train_data_upsampling_factors=None, train_num_samples=None, val_data=None,
    dataset_resampled=False, seed=0, batch_size=4, workers=1, world_size=1, distributed=False,
)
found = get_wds_dataset(args, lambda picture: picture.size[0], is_train=True, tokenizer=lambda text: [text])
print(found.dataloader.num_samples)
for pictures, texts in found.dataloader:
    print(*sorted(f"{width}:{text}" for width, text in zip(pictures, texts)), sep="\\n")
"""

    count, *samples = outside(pulled, program)

    assert count == str(len(TRAINING))
    assert sorted(samples) == sorted(f"24:ält {number}" for number in TRAINING)


def test_a_second_pull_fetches_only_what_is_missing_and_keeps_numbers(pulled, shard, settings):
    shard([*(pair(number) for number in range(20, 23)), ASKED], partition=1)
    before = {name: (pulled / name).stat().st_mtime_ns for name in tars(pulled)}
    (pulled / "00001.tar").unlink()
    shard([*(pair(number) for number in range(30, 32)), ASKED], first=15)

    ran = run_command(settings, "shards", "pull", str(pulled))

    assert ran.returncode == 0, ran.stderr
    after = {name: (pulled / name).stat().st_mtime_ns for name in tars(pulled)}
    assert list(after) == [f"0000{number}.tar" for number in range(5)]
    assert {name for name in before if before[name] == after[name]} == {"00000.tar", "00002.tar"}
    assert json.loads((pulled / "sizes.json").read_text())["00001.tar"] == 4


def test_held_out_tars_come_only_when_they_are_asked_for(pulled, settings, tmp_path):
    ran = run_command(settings, "shards", "pull", str(tmp_path / "all"), "--heldout")

    assert ran.returncode == 0, ran.stderr
    assert tars(tmp_path / "all") == sorted([*tars(pulled), "00000.heldout.tar", "00001.heldout.tar"])
    assert pq.read_table(tmp_path / "all/metadata.parquet").num_rows == PAIRS


def test_a_folder_with_tars_of_others_is_left_alone(stocked, settings, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/00000.tar").write_bytes(b"theirs")

    ran = run_command(settings, "shards", "pull", str(tmp_path / "theirs"))

    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (1, "hint: name an empty folder")
    assert (tmp_path / "theirs/00000.tar").read_bytes() == b"theirs"


def test_whole_shards_are_found_whole(stocked, settings):
    assert json_of(settings, "shards", "verify", "--store-only") == {
        "schema": 1, "shards": 3, "samples": PAIRS, "read": 3, "errors": [], "warnings": []
    }  # fmt: skip
    assert run_command(settings, "shards", "list", "-q").stdout.split() == [
        f"p000-{start:012d}" for start in (0, 5, 10)
    ]


def test_a_second_look_reads_only_what_has_changed(stocked, objects, settings):
    def look(*words: str) -> tuple[int, list[str]]:
        ran = run_command(settings, "shards", "verify", "--store-only", "--json", *words)
        found = json.loads(ran.stdout)
        return found["read"], [error["shard_id"] for error in found["errors"]]

    looks = [look(), look(), look("--full")]
    flip(objects)

    assert looks == [(3, []), (0, []), (3, [])]
    assert look() == look() == (1, ["p000-000000000000"])


def test_a_shard_sent_in_parts_is_checked_by_its_bytes_and_not_by_its_etag(shard, objects, settings):
    shard([*(pair(number, payload=picture(number) + os.urandom(6 << 20)) for number in range(2)), ASKED])

    (etag,) = [item.etag for item in objects.list(first(objects).tar.key)]
    assert etag.endswith("-2")  # of two parts: no MD5 of the whole
    assert json_of(settings, "shards", "verify", "--store-only")["samples"] == 2


Spoil = Callable[[Objects], None]


def cut_short(objects: Objects) -> None:
    key = first(objects).tar.key
    objects.put(key, objects.get(key)[:-512])


def flip(objects: Objects) -> None:
    key, at = first(objects).tar.key, 700
    data = objects.get(key)
    objects.put(key, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def lose_tar(objects: Objects) -> None:
    objects.delete(first(objects).tar.key)


def lose_table(objects: Objects) -> None:
    objects.delete(first(objects).table.key)


def lose_manifest(objects: Objects) -> None:
    objects.delete(first(objects).key)


def swap_tables(objects: Objects) -> None:
    mine, other = list(list_manifests(objects))[:2]
    plain = json.loads(objects.get(mine.key))
    objects.put(mine.key, json.dumps({**plain, "table": json.loads(objects.get(other.key))["table"]}).encode())


def first(objects: Objects):
    return next(list_manifests(objects))


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (cut_short, "bytes, its manifest says"),
        (flip, "sha256"),
        (lose_tar, "is missing"),
        (lose_table, "is missing"),
        (lose_manifest, "leaves a gap"),
        (swap_tables, "do not place the 5 samples"),
    ],
)
def test_what_is_spoilt_is_named_and_the_rest_is_read(stocked, objects, spoil, what):
    spoil(objects)

    verdict = shard_checks.verify(objects)

    assert len(verdict.errors) == 1
    assert what in verdict.errors[0].what


def test_a_picture_that_does_not_decode_and_a_file_of_no_manifest_are_told(shard, objects, settings):
    shard([pair(0), pair(1, payload=b"no picture"), ASKED])
    objects.put("shards/p000/000000000000-aaaaaaaaaaaa.tar", b"left behind")

    ran = run_command(settings, "shards", "verify", "--store-only")

    assert ran.returncode == 1
    assert f"{pair(1).image_id}.jpg is no picture" in ran.stdout
    assert "belongs to no manifest" in ran.stderr
