"""A sharder when the disk is full, the store loses answers, or the log behind it was deleted."""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from entityflow.admin import Admin
from entityflow.domain import Sharding
from entityflow.objects import Objects
from entityflow.records import Record, Seal, Shard
from entityflow.settings import Settings
from entityflow.shards import list_manifests
from entityflow.stage import Send, produce_all, read_topic
from tests.cutting import cut_log, surroundings
from tests.filtered_pairs import pair
from tests.freezing_store import LOSE, FreezingStore
from tests.integration.command import environment, json_of, run_command
from tests.waiting import eventually

SAMPLES = 3
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """A sharder; what it says goes to tmp_path/said."""
    begun: list[subprocess.Popen[bytes]] = []

    def begin(**more: str) -> subprocess.Popen[bytes]:
        own = {
            "ENTITYFLOW_SHARDER_MAX_SAMPLES": str(SAMPLES),
            "ENTITYFLOW_COMMIT_SECONDS": "0.1",
            "ENTITYFLOW_GROUP_INSTANCE_ID": "the-only-one",
        }
        with (tmp_path / "said").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.sharder.service"],
                env=environment(settings, **{**own, **more}),
                stderr=said,
                stdout=said,
            )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def send(settings: Settings, *records: Record) -> None:
    """All into partition 0."""
    sends = [Send("filtered-pair", record, partition=0) for record in records]
    produce_all("filter", settings, sends, ["filtered-pair"])


def events(settings: Settings) -> list[Shard]:
    return [record for _, record in read_topic(settings, "shard") if isinstance(record, Shard)]


def stored(objects: Objects) -> dict[str, bytes]:
    return {item.key: objects.get(item.key) for item in objects.list("shards/")}


def uuid_of(settings: Settings) -> str:
    (uuid,) = {message.topic_uuid for message, _ in read_topic(settings, "filtered-pair")}
    return uuid


def test_a_process_on_a_full_disk_waits_says_so_and_goes_on_when_there_is_room(start, settings, tmp_path):
    process = start()
    eventually(lambda: b"partitions_assigned" in (tmp_path / "said").read_bytes())
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (3000, before[1]))
    pairs = [pair(number) for number in range(SAMPLES * 2)]
    send(settings, *pairs)
    eventually(lambda: b"disk-full" in (tmp_path / "said").read_bytes())
    assert events(settings) == []

    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
    eventually(lambda: len(events(settings)) == 2)

    calm = surroundings(tmp_path / "calm", SAMPLES, Sharding().max_bytes)
    cut_log(calm, pairs, uuid=uuid_of(settings))
    assert stored(Objects(settings)) == calm.objects.content
    assert process.poll() is None


def test_a_process_without_room_for_its_spool_reads_again_and_leaves_the_same_objects(start, settings, tmp_path):
    start(ENTITYFLOW_SHARDER_SPOOL_BYTES="5000")
    pairs = [pair(number, heldout=number == 4) for number in range(SAMPLES * 2)]
    send(settings, *pairs)

    eventually(lambda: len(events(settings)) == 2)

    calm = surroundings(tmp_path / "calm", SAMPLES, Sharding().max_bytes)
    cut_log(calm, pairs, uuid=uuid_of(settings))
    assert stored(Objects(settings)) == calm.objects.content
    assert (tmp_path / "said").read_bytes().count(b"reads_again") == 2


def alarms() -> float | None:
    return REGISTRY.get_sample_value("entityflow_shard_conflicts_total")


@pytest.mark.parametrize("write", [0, 1, 2], ids=["tar", "table", "manifest"])
def test_an_answer_that_the_store_loses_makes_no_rival_and_no_second_event(settings, tmp_path, write):
    Objects(settings).ensure_bucket()
    before = alarms()
    with FreezingStore(settings.s3_endpoint, write, LOSE) as store:
        objects = Objects(settings.model_copy(update={"s3_endpoint": store.endpoint}))
        sent = cut_log(replace(surroundings(tmp_path), objects=objects), [pair(number) for number in range(3)])

    assert [type(record) for record in sent] == [Shard]
    assert alarms() == before
    assert len(stored(Objects(settings))) == 3


def test_a_partition_whose_records_were_all_deleted_after_they_were_in_shards_is_no_loss(start, settings):
    process = start()
    send(settings, *(pair(number) for number in range(4)))
    eventually(lambda: events(settings))
    assert run_command(settings, "seal").returncode == 0
    eventually(lambda: Admin(settings).committed("sharder", "filtered-pair").get(0) == 5)
    process.terminate()
    assert process.wait(30) == 0
    Admin(settings).delete_up_to({("filtered-pair", 0): 5})

    start()
    send(settings, pair(7), pair(8), pair(9))

    eventually(lambda: len(events(settings)) > 2)
    ranges = [(one.input.start, one.input.end) for one in list_manifests(Objects(settings), 0)]
    assert ranges == [(0, 2), (3, 4), (5, 7)]
    assert json_of(settings, "shards", "verify")["errors"] == []


def test_a_range_with_nothing_but_a_seal_and_doubles_has_a_manifest_and_no_event(start, settings):
    start()
    send(settings, pair(0), pair(1), pair(2), pair(0), pair(1), Seal(partition=0, start=3, cause="asked"))

    eventually(lambda: Admin(settings).committed("sharder", "filtered-pair").get(0) == 6)

    manifests = list(list_manifests(Objects(settings), 0))
    assert [(one.input.start, one.input.end, one.count) for one in manifests] == [(0, 2, 3), (3, 5, 0)]
    assert {event.shard_id for event in events(settings)} == {manifests[0].shard_id}
