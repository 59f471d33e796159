"""SIGKILL at each write to the real store, before it arrives and after: of a sharder and of a rewrite."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from entityflow import shard_checks
from entityflow.domain import Sharding
from entityflow.objects import Objects
from entityflow.records import Amend, Shard
from entityflow.settings import Settings
from entityflow.shards import list_manifests
from entityflow.stage import Send, produce_all, read_topic
from entityflow.topics import partition_of
from services.sharder.command import KafkaLogs
from services.sharder.rewriting import Rewriting
from tests.amends import merge, removal
from tests.cutting import cut_log, surroundings
from tests.filtered_pairs import pair
from tests.freezing_store import AFTER, BEFORE, FreezingStore
from tests.integration.command import environment
from tests.waiting import eventually

SAMPLES = 4
SHARDER = ["services.sharder.service"]
REWRITE = ["entityflow", "shards", "rewrite"]


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    begun: list[subprocess.Popen[bytes]] = []
    yield begun
    for process in begun:
        process.kill()
        process.wait()


def start(settings: Settings, words: list[str], **more: str) -> subprocess.Popen[bytes]:
    own = {
        "ENTITYFLOW_SHARDER_MAX_SAMPLES": str(SAMPLES),
        "ENTITYFLOW_COMMIT_SECONDS": "0.1",
        "ENTITYFLOW_GROUP_INSTANCE_ID": "the-only-one",  # who comes next need not wait for the end of the session
    }
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        env=environment(settings, **{**own, **more}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed_at(settings: Settings, words: list[str], write: int, when: str) -> bool:
    """Whether the process came to its n-th write; it was killed there."""
    with FreezingStore(settings.s3_endpoint, write, when) as store:
        process = start(settings, words, ENTITYFLOW_S3_ENDPOINT=store.endpoint)
        try:
            eventually(lambda: store.frozen.is_set() or process.poll() is not None)
            return store.frozen.is_set()
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def stored(settings: Settings) -> dict[str, bytes]:
    objects = Objects(settings)
    return {item.key: objects.get(item.key) for item in objects.list("shards/")}


def events(settings: Settings) -> dict[str, int]:
    """The last that was told of each shard."""
    return {record.shard_id: record.version for _, record in read_topic(settings, "shard") if isinstance(record, Shard)}


def in_one_partition(count: int) -> list[int]:
    """Numbers of pairs that share a partition."""
    found = (number for number in range(1000) if partition_of(pair(number).image_id.encode(), 2) == 0)
    return [next(found) for _ in range(count)]


NUMBERS = in_one_partition(SAMPLES)


def fill(settings: Settings) -> None:
    pairs = [Send("filtered-pair", pair(number, heldout=number == NUMBERS[1])) for number in NUMBERS]
    produce_all("filter", settings, pairs, ["filtered-pair"])


# the two tars, the table, the manifest
@pytest.mark.parametrize(("write", "when"), [(0, BEFORE), (1, BEFORE), (2, BEFORE), (3, BEFORE), (3, AFTER)])
def test_a_sharder_killed_at_any_write_leaves_the_objects_of_an_undisturbed_one(
    settings, tmp_path, processes, write, when
):
    around = surroundings(tmp_path, SAMPLES, Sharding().max_bytes)
    Objects(settings).ensure_bucket()
    fill(settings)
    (uuid,) = {message.topic_uuid for message, _ in read_topic(settings, "filtered-pair")}

    assert killed_at(settings, SHARDER, write, when)
    assert bool(list(list_manifests(Objects(settings)))) == (when == AFTER)
    processes.append(start(settings, SHARDER))
    eventually(lambda: events(settings))

    cut_log(around, [pair(number, heldout=number == NUMBERS[1]) for number in NUMBERS], uuid=uuid)
    assert stored(settings) == around.objects.content
    assert shard_checks.verify(Objects(settings)).errors == []


LEARNED = [merge(NUMBERS[0], "d"), removal(NUMBERS[1], "decontaminate", "near-benchmark"), merge(NUMBERS[2], "e")]


def learn(settings: Settings, *amends: Amend) -> None:
    produce_all("filter", settings, [Send("amend", amend) for amend in amends], ["amend"])


def rewritten(settings: Settings, folder: Path) -> list[int]:
    """Versions that a run makes which nothing disturbs."""
    summary = Rewriting(Objects(settings), KafkaLogs(settings), folder, folder / "tables").run()
    return [one.version for one in summary.rewritten]


# tar, table (no held-out sample is left), manifest, progress
@pytest.mark.parametrize(
    ("write", "when", "is_committed"),
    [
        (0, BEFORE, False),
        (1, BEFORE, False),
        (2, BEFORE, False),
        (2, AFTER, True),
        (3, BEFORE, True),
        (3, AFTER, True),
    ],
)
def test_a_rewrite_killed_at_any_write_is_made_up_for_by_the_next(settings, tmp_path, write, when, is_committed):
    Objects(settings).ensure_bucket()
    fill(settings)
    (uuid,) = {message.topic_uuid for message, _ in read_topic(settings, "filtered-pair")}
    around = replace(surroundings(tmp_path / "cut", SAMPLES), objects=Objects(settings))
    cut_log(around, [pair(number, heldout=number == NUMBERS[1]) for number in NUMBERS], uuid=uuid)
    learn(settings, *LEARNED)

    assert killed_at(settings, REWRITE, write, when)
    again = rewritten(settings, tmp_path)

    (manifest,) = list_manifests(Objects(settings))
    assert (manifest.version, manifest.count, manifest.heldout_count, manifest.removed) == (2, 3, 0, 1)
    assert again == ([] if is_committed else [2])
    assert events(settings) == {manifest.shard_id: 2}
    assert shard_checks.verify(Objects(settings)).errors == []
    assert rewritten(settings, tmp_path) == []
