"""The shell on a real broker, as processes that are killed, stopped, joined by others and fed with poison."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from entityflow.admin import Admin, create_topics
from entityflow.errors import LossDetected
from entityflow.records import Coverage, Entity, Fingerprint, Origin, Query
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all, read_topic
from entityflow.stage.seen import recognise
from entityflow.topics import load_topics
from tests.waiting import eventually

APP = Path(__file__).parent / "shell_app.py"
Start = Callable[..., subprocess.Popen[str]]


def environment(settings: Settings, **more: str) -> dict[str, str]:
    own = {
        "ENTITYFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ENTITYFLOW_PREFIX": settings.prefix,
        "ENTITYFLOW_SMALL_TOPICS": "true",
        "ENTITYFLOW_COMMIT_SECONDS": "0.1",
        "ENTITYFLOW_DRAIN_SECONDS": "1",
        "ENTITYFLOW_SESSION_TIMEOUT_SECONDS": "6",
    }
    return {**os.environ, **own, **more}


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    processes = []

    def begin(mode: str = "map", **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(APP), mode, str(tmp_path)],
            env=environment(settings, **more),
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def entities(*labels: str) -> list[Entity]:
    return [Entity(id=f"Q{number}", label=label, lang="en") for number, label in enumerate(labels)]


def publish(settings: Settings, *labels: str) -> None:
    produce_all("test", settings, [Send("entity", entity) for entity in entities(*labels)], ["entity"])


def queried(settings: Settings) -> list[str]:
    return [record.id for _, record in read_topic(settings, "query") if isinstance(record, Query)]


def committed(settings: Settings) -> int:
    return sum(Admin(settings).committed("query_builder", "entity").values())


def stop(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    return log


def ended(process: subprocess.Popen[str]) -> str:
    _, log = process.communicate(timeout=30)
    return log


def test_every_record_is_worked_on_and_committed_before_a_stop(settings, start):
    publish(settings, *["lion"] * 30)
    process = start()
    eventually(lambda: len(queried(settings)) == 30)

    stop(process)

    assert process.returncode == 0
    assert committed(settings) == 30


def test_records_in_flight_when_the_process_is_killed_are_worked_on_by_the_next(settings, start, tmp_path):
    publish(settings, "wait go", *["lion"] * 20, "wait go", *["lion"] * 20)
    first = start()
    eventually(lambda: len(queried(settings)) == 40)

    first.send_signal(signal.SIGKILL)
    first.communicate()
    (tmp_path / "go").touch()
    start()

    eventually(lambda: len(set(queried(settings))) == 42)
    eventually(lambda: committed(settings) == 42)


def test_nothing_behind_an_unfinished_record_is_committed(settings, start):
    publish(settings, "wait for-ever", *["lion"] * 20)
    process = start()
    eventually(lambda: len(queried(settings)) == 20)

    stop(process)

    offsets = Admin(settings).committed("query_builder", "entity")
    waiting = [message for message, record in read_topic(settings, "entity") if record.label.startswith("wait")]
    assert all(offsets[message.partition] <= message.offset for message in waiting)


def test_poison_becomes_a_dead_letter_with_its_bytes_and_coordinates(settings, start):
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    producer.produce(settings.topic_name("entity"), b"\x00poison", b"Q9", headers=[("mine", b"kept")], partition=1)
    producer.flush(10)
    publish(settings, *["lion"] * 5)
    start()

    eventually(lambda: len(queried(settings)) == 5 and committed(settings) == 6)

    ((letter, _),) = dead_letters(settings)
    assert (letter.key, letter.value) == (b"Q9", b"\x00poison")
    assert letter.headers["mine"] == b"kept"
    assert (letter.headers["dlq-topic"], letter.headers["dlq-partition"]) == (b"entity", b"1")
    assert letter.headers["dlq-reason"] == b"undecodable"


def dead_letters(settings: Settings):
    return list(read_topic(settings, "entity-dlq"))


def test_a_bug_ends_the_process_and_leaves_the_record_uncommitted(settings, start):
    publish(settings, "bug")
    process = start()

    log = ended(process)

    assert process.returncode == 1
    assert "ValueError" in log
    assert committed(settings) == 0


def test_an_outage_leaves_the_offset_where_it_was_until_it_is_over(settings, start, tmp_path):
    publish(settings, "away")
    start()
    eventually((tmp_path / "tried").exists)
    assert committed(settings) == 0

    (tmp_path / "back").touch()

    eventually(lambda: committed(settings) == 1)
    assert queried(settings) == ["Q0"]


def test_a_service_that_rejects_most_of_what_it_reads_stops(settings, start):
    publish(settings, *["reject"] * 60)
    process = start()

    log = ended(process)

    assert process.returncode == 1
    assert "were rejected" in log
    assert len(dead_letters(settings)) < 60


def test_a_second_member_takes_over_partitions_while_work_goes_on(settings, start):
    publish(settings, *["lion"] * 20)
    start()
    eventually(lambda: len(queried(settings)) == 20)
    second = start()
    eventually(lambda: owners(settings) == 2)

    publish(settings, *["lion"] * 40)
    eventually(lambda: committed(settings) == 60)
    stop(second)
    eventually(lambda: owners(settings) == 1)
    publish(settings, *["lion"] * 40)

    eventually(lambda: committed(settings) == 100)


def test_a_member_that_was_frozen_commits_nothing_of_what_another_has_taken_over(settings, start, tmp_path):
    publish(settings, "wait go", *["lion"] * 10, "wait go")
    frozen = start()
    eventually(lambda: len(queried(settings)) == 10)
    frozen.send_signal(signal.SIGSTOP)  # its session ends while it sleeps; it does not know

    (tmp_path / "go").touch()
    second = start()
    eventually(lambda: committed(settings) == 12)
    frozen.send_signal(signal.SIGCONT)
    eventually(lambda: owners(settings) == 2)
    publish(settings, *["lion"] * 30)

    eventually(lambda: committed(settings) == 42)
    assert len(set(queried(settings))) == 30
    assert "partitions_lost" in stop(frozen)
    stop(second)
    assert (frozen.returncode, second.returncode) == (0, 0)


def owners(settings: Settings) -> int:
    client = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    group = settings.group_name("query_builder")
    described = client.describe_consumer_groups([group])[group].result(10)
    return sum(1 for member in described.members if member.assignment.topic_partitions)


def test_lost_offsets_stop_the_start_with_group_partition_and_offsets(settings, start):
    publish(settings, *["lion"] * 10)
    admin = Admin(settings)
    ends = admin.ends([("query", 0), ("query", 1)])
    assert ends
    delete_first(settings)
    process = start()

    log = ended(process)

    assert process.returncode == 1
    assert settings.group_name("query_builder") in log
    assert "next offset 0, the topic holds" in log


def delete_first(settings: Settings) -> None:
    """Compacted topics refuse DeleteRecords: the policy is changed for this test."""
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    name = settings.topic_name("entity")
    client = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    entry = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    for future in client.incremental_alter_configs(
        [ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])]
    ).values():
        future.result(10)
    admin = Admin(settings)
    admin.delete_up_to(admin.ends([("entity", 0), ("entity", 1)]))


def test_accepted_loss_goes_on_at_the_first_record_there_is(settings, start):
    publish(settings, *["lion"] * 10)
    delete_first(settings)
    publish(settings, "wolf", "bear")
    process = start(ENTITYFLOW_ACCEPT_LOSS="true")
    eventually(lambda: len(queried(settings)) == 2)

    log = stop(process)

    assert "loss_accepted" in log
    assert process.returncode == 0


def test_a_topic_made_anew_while_the_service_was_away_stops_it_though_offsets_are_there(settings, start):
    publish(settings, *["lion"] * 5)
    first = start()
    eventually(lambda: committed(settings) == 5)
    stop(first)
    make_anew(settings, "entity")
    publish(settings, "wolf", "bear")

    process = start()
    log = ended(process)

    assert process.returncode == 1
    assert re.search(
        r"entity was made anew .* group \S*query_builder, partition \d: committed 0, the topic holds 0 to", log
    )
    assert "--accept-loss" in log
    assert "Traceback" not in log
    start(ENTITYFLOW_ACCEPT_LOSS="true")
    eventually(lambda: len(queried(settings)) == 7)


def make_anew(settings: Settings, topic: str) -> None:
    delete(settings, topic)
    create_topics(settings)


def delete(settings: Settings, topic: str) -> None:
    name, client = settings.topic_name(topic), AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    client.delete_topics([name])[name].result(10)
    eventually(lambda: topic not in Admin(settings).uuids([topic]))


def test_an_offset_that_was_committed_for_a_topic_since_deleted_is_none_of_this_one(settings, start):
    publish(settings, *["lion"] * 10)
    Admin(settings).commit("query_builder", "entity", {0: 1, 1: 1}, note="uuid-of-before")

    process = start()
    log = ended(process)

    assert process.returncode == 1
    assert "next offset 1 of a topic of this name that was deleted, the topic holds 0 to" in log
    start(ENTITYFLOW_ACCEPT_LOSS="true")
    eventually(lambda: len(queried(settings)) == 10)


def test_a_topic_made_anew_under_a_running_service_stops_it(settings, start):
    publish(settings, *["lion"] * 5)
    process = start(ENTITYFLOW_GUARD_SECONDS="0.3")
    eventually(lambda: committed(settings) == 5)

    delete(settings, "entity")
    entity = load_topics()["entity"]
    Admin(settings).create([("entity", entity.small, entity.configuration(small=True))])

    log = ended(process)
    assert process.returncode == 1
    assert "made anew" in log or "does not exist any more" in log or "records are gone" in log


def test_a_table_made_anew_stops_the_service_that_knows_it(settings, start):
    first = start("table")
    eventually(lambda: owners(settings) == 1)
    stop(first)
    make_anew(settings, "coverage")

    process = start("table")

    log = ended(process)
    assert process.returncode == 1
    assert "coverage was made anew" in log


def test_a_batch_stage_whose_topic_was_made_anew_stops(settings, start):
    fingerprints(settings, 5)
    first = start("batch")
    eventually(lambda: len(answered(settings)) == 5)
    stop(first)
    make_anew(settings, "fingerprint")

    process = start("batch")

    log = ended(process)
    assert process.returncode == 1
    assert "fingerprint was made anew" in log


def test_what_a_service_has_seen_survives_the_topic_that_it_is_kept_beside(settings):
    recognise("index", settings, {"fingerprint": "old"})
    make_anew(settings, "tombstone")

    with pytest.raises(LossDetected, match="fingerprint was made anew \\(uuid old before, new now\\): group"):
        recognise("index", settings, {"fingerprint": "new"})


def test_a_topic_that_does_not_exist_is_named_with_the_cure(settings, start):
    process = start(ENTITYFLOW_PREFIX="nowhere")

    log = ended(process)

    assert process.returncode == 1
    assert "nowhere.entity" in log
    assert "entityflow topics create" in log


def test_a_stop_is_heard_while_the_loop_has_more_wake_ups_than_it_can_hold(start, tmp_path):
    process = start("crowded")
    eventually((tmp_path / "crowded").exists)

    process.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()

    log = ended(process)
    assert process.returncode == 0, log


def test_a_table_is_read_to_its_end_before_the_first_record(settings, start):
    known = [Send("coverage", coverage(number), key="Q0") for number in range(50)]
    known += [Send("coverage", coverage(number), key=f"Q{number}") for number in range(1, 200)]
    produce_all("test", settings, known, ["coverage"])
    publish(settings, "lion")
    start("table")

    eventually(lambda: len(queried(settings)) == 1)

    assert [record.text for _, record in read_topic(settings, "query")] == ["200 known"]


def coverage(number: int) -> Coverage:
    return Coverage(entity_id=f"Q{number}", round=0, candidates=1, accepted=1, merged=0, dropped=0, decision="enough")


def fingerprints(settings: Settings, count: int, first: int = 0) -> None:
    origin = Origin(topic_uuid="t", partition=0, offset=0)
    made = [Fingerprint(image_id=f"{number:03d}", origin=origin, passed=True) for number in range(first, first + count)]
    produce_all("test", settings, [Send("fingerprint", one, partition=0) for one in made], ["fingerprint"])


def answered(settings: Settings) -> set[str]:
    return {record.image_id for _, record in read_topic(settings, "match")}


def test_batches_survive_a_kill_and_are_closed_on_a_stop(settings, start, tmp_path):
    fingerprints(settings, 500)
    first = start("batch")
    eventually(lambda: answered(settings))
    first.kill()
    first.communicate()

    second = start("batch")
    fingerprints(settings, 50, first=500)
    eventually(lambda: len(answered(settings)) == 550)
    stop(second)

    assert second.returncode == 0
    assert Admin(settings).committed("index", "fingerprint") == {0: 550}
    assert (tmp_path / "closed").exists()
