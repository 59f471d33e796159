"""The sharder as a process on a real broker and store: killed, doubled, sealed, and what it leaves."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from entityflow.admin import Admin, require_topics
from entityflow.domain import Sharding
from entityflow.objects import Objects
from entityflow.records import Record, Seal, Shard
from entityflow.settings import Settings
from entityflow.shards import list_manifests
from entityflow.stage import Received, Send, produce_all, read_topic
from services.sharder.cutting import Cutting
from tests.cutting import surroundings
from tests.filtered_pairs import pair
from tests.integration.command import environment, json_of, run_command
from tests.memory_objects import MemoryObjects
from tests.waiting import eventually

SAMPLES = 4
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    processes = []

    def begin(**more: str) -> subprocess.Popen[bytes]:
        own = {
            "ENTITYFLOW_SHARDER_MAX_SAMPLES": str(SAMPLES),
            "ENTITYFLOW_COMMIT_SECONDS": "0.1",
            "ENTITYFLOW_SESSION_TIMEOUT_SECONDS": "6",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "services.sharder.service"],
            env=environment(settings, **{**own, **more}),
            stderr=subprocess.DEVNULL,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def send(settings: Settings, *records: Record) -> None:
    produce_all("filter", settings, [Send("filtered-pair", record) for record in records], ["filtered-pair"])


def is_through(settings: Settings) -> bool:
    admin = Admin(settings)
    ends = admin.ends(("filtered-pair", partition) for partition in range(2))
    committed = admin.committed("sharder", "filtered-pair")
    return all(committed.get(partition) == end for (_, partition), end in ends.items())


def events(settings: Settings) -> list[Shard]:
    return [record for _, record in read_topic(settings, "shard") if isinstance(record, Shard)]


def undisturbed(settings: Settings, folder: Path) -> dict[str, bytes]:
    """The objects that one sharder makes of the same log in one go."""
    store = MemoryObjects()
    around = replace(surroundings(folder, SAMPLES, Sharding().max_bytes), objects=store)
    uuid = require_topics(settings, ["filtered-pair"])["filtered-pair"]
    handlers = {partition: Cutting(partition, uuid, around) for partition in range(2)}
    for message, record in read_topic(settings, "filtered-pair"):
        assert record is not None
        handlers[message.partition].step([Received(record, message)])
    for handler in handlers.values():
        handler.close()
    return store.content


def objects_written(settings: Settings) -> int:
    return len(list(Objects(settings).list("shards/")))


def stored(settings: Settings) -> dict[str, bytes]:
    objects = Objects(settings)
    return {item.key: objects.get(item.key) for item in objects.list("shards/")}


def test_kills_at_any_moment_leave_the_shards_of_an_undisturbed_run(start, settings, tmp_path):
    chance = random.Random(1)
    pairs = [pair(number, heldout=number % 5 == 0) for number in range(60)]
    for beginning in range(0, 60, 15):
        process = start()
        send(settings, *pairs[beginning : beginning + 15], *pairs[:beginning:7])
        wanted = objects_written(settings) + chance.randint(1, 4)
        eventually(partial(lambda enough: objects_written(settings) >= enough, wanted))
        process.send_signal(signal.SIGKILL)
        process.wait()

    start()
    assert run_command(settings, "seal").returncode == 0
    eventually(lambda: is_through(settings))

    assert stored(settings) == undisturbed(settings, tmp_path / "calm")
    assert {event.shard_id for event in events(settings)} == {
        one.shard_id for one in list_manifests(Objects(settings)) if one.count or one.heldout_count
    }
    verdict = json_of(settings, "shards", "verify")
    assert (verdict["samples"], verdict["errors"]) == (60, [])


def test_an_open_shard_is_sealed_by_its_owner_when_it_is_old(start, settings):
    start(ENTITYFLOW_SHARDER_MAX_AGE_SECONDS="0.5")
    send(settings, pair(1))

    eventually(lambda: events(settings))
    eventually(lambda: is_through(settings))

    seals = [record for _, record in read_topic(settings, "filtered-pair") if isinstance(record, Seal)]
    assert [(seal.start, seal.cause) for seal in seals] == [(0, "age")]


def test_seal_passes_over_partitions_with_nothing_open(start, settings):
    start()
    send(settings, pair(1), pair(2), pair(3))
    first = run_command(settings, "seal")
    eventually(lambda: is_through(settings))

    again = run_command(settings, "seal")

    assert "sealed 0" not in first.stderr
    assert "sealed 0" in again.stderr


def test_a_stopped_sharder_ends_with_0_and_the_next_one_goes_on(start, settings):
    process = start()
    send(settings, *(pair(number) for number in range(20)))
    eventually(lambda: events(settings))
    process.send_signal(signal.SIGTERM)

    assert process.wait(30) == 0
    start()
    run_command(settings, "seal")
    eventually(lambda: is_through(settings))
    assert sum(one.count for one in list_manifests(Objects(settings))) == 20


def test_wrong_credentials_stop_the_start_with_one_line(settings):
    ran = subprocess.run(
        [sys.executable, "-m", "services.sharder.service"],
        env=environment(settings, ENTITYFLOW_S3_SECRET_KEY="wrong"),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 1
    assert "check ENTITYFLOW_S3_ACCESS_KEY and ENTITYFLOW_S3_SECRET_KEY" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_folders_of_killed_sharders_do_not_pile_up(start, settings):
    process = start()
    send(settings, pair(1))
    folder = settings.state_dir / "sharder" / settings.prefix / "open"
    eventually(lambda: folder.exists() and len(list(folder.iterdir())) == 2)
    process.kill()
    process.wait()

    start()

    eventually(lambda: {path.name.split("-")[0] for path in folder.iterdir()} - {str(process.pid)})
    assert not [path for path in folder.iterdir() if path.name.startswith(f"{process.pid}-")]
