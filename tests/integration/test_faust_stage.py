"""Faust as a shell: what our own shell promises, this one keeps too, on a real broker and under kills."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer

from entityflow.admin import Admin
from entityflow.codec import encode
from entityflow.errors import UserError
from entityflow.records import Entity, Query
from entityflow.settings import Settings
from entityflow.stage import Message, Send, produce_all, read_topic
from entityflow.topics import partition_of
from tests.integration.test_shell import make_anew
from tests.waiting import eventually

SERVICE = Path(__file__).parent / "faust_service.py"
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Starts the service as a process; its steps look into the folder of the test."""
    processes = []
    own = {
        "ENTITYFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ENTITYFLOW_PREFIX": settings.prefix,
        "ENTITYFLOW_SMALL_TOPICS": "true",
        "ENTITYFLOW_DRAIN_SECONDS": "1",
        "ENTITYFLOW_SESSION_TIMEOUT_SECONDS": "6",
    }

    def begin(**more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(SERVICE), "map", str(tmp_path)],
            env={**os.environ, **own, **more},
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


def publish(settings: Settings, *labels: str) -> None:
    """Entities Q0, Q1 ... with these labels, which say what the step does with them."""
    entities = [Entity(id=f"Q{number}", label=label, lang="en") for number, label in enumerate(labels)]
    produce_all("test", settings, [Send("entity", entity) for entity in entities], ["entity"])


def messages(settings: Settings, topic: str) -> list[Message]:
    return [message for message, _ in read_topic(settings, topic)]


def queried(settings: Settings) -> list[str]:
    return [record.id for _, record in read_topic(settings, "query") if isinstance(record, Query)]


def offsets(settings: Settings) -> Mapping[int, int]:
    return Admin(settings).committed("query_builder", "entity")


def committed(settings: Settings) -> int:
    return sum(offsets(settings).values())


def stop(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=30)[1]


def test_every_record_is_worked_on_and_committed_before_a_stop(settings: Settings, start: Start) -> None:
    produce_all("test", settings, [Send("entity", None, key="Q99")], ["entity"])  # a deletion leads to nothing
    publish(settings, *["lion"] * 30)
    process = start()
    eventually(lambda: len(queried(settings)) == 30)

    stop(process)

    assert process.returncode == 0
    assert committed(settings) == 31
    assert len(queried(settings)) == 30
    check_headers(settings)


def check_headers(settings: Settings) -> None:
    """Results carry our headers, go on with the trace of their record, and lie where our producers put them."""
    traces = {message.key: trace_of(message) for message in messages(settings, "entity")}
    for message in messages(settings, "query"):
        assert message.key is not None
        assert message.partition == partition_of(message.key, 2)
        assert message.headers["msg-id"] == message.key
        assert message.headers["producer"].startswith(b"query_builder@")
        assert message.headers["attempt"] == b"0"
        assert set(message.headers) == {"msg-id", "run-id", "producer", "traceparent", "attempt"}
        assert trace_of(message) == traces[message.key]


def trace_of(message: Message) -> bytes:
    return message.headers["traceparent"].split(b"-")[1]


def test_records_in_flight_when_the_process_is_killed_are_worked_on_by_the_next(
    settings: Settings, start: Start, tmp_path: Path
) -> None:
    publish(settings, "wait go", *["lion"] * 20, "wait go", *["lion"] * 20)
    first = start()
    eventually(lambda: len(queried(settings)) == 40)

    first.send_signal(signal.SIGKILL)
    first.communicate()
    (tmp_path / "go").touch()
    start()

    eventually(lambda: len(set(queried(settings))) == 42)
    eventually(lambda: committed(settings) == 42)


def test_nothing_behind_an_unfinished_record_is_committed(settings: Settings, start: Start) -> None:
    publish(settings, "wait for-ever", *["lion"] * 20)
    process = start()
    eventually(lambda: len(queried(settings)) == 20)

    stop(process)

    assert process.returncode == 0
    waiting = [message for message, record in read_topic(settings, "entity") if record.label.startswith("wait")]
    assert all(offsets(settings).get(message.partition, 0) <= message.offset for message in waiting)


def test_a_bug_ends_the_process_before_its_record_and_names_it(settings: Settings, start: Start) -> None:
    publish(settings, *["lion"] * 5, "bug", *["lion"] * 5)

    process = start()
    log = process.communicate(timeout=60)[1]

    assert process.returncode == 1
    assert "service_failed" in log
    assert "at_record=" in log
    ((place, offset),) = [
        (message.partition, message.offset)
        for message, record in read_topic(settings, "entity")
        if record.label == "bug"
    ]
    assert offsets(settings).get(place, 0) <= offset


def test_a_rejected_record_and_poison_become_dead_letters_and_the_rest_goes_on(
    settings: Settings, start: Start
) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    name = settings.topic_name("entity")
    producer.produce(name, b"\x00poison", b"Q90", headers=[("mine", b"kept")], partition=1)
    rejected = encode(Entity(id="Q91", label="reject", lang="en"))
    producer.produce(name, rejected, b"Q91", partition=0)
    producer.flush(10)
    publish(settings, *["lion"] * 5)

    start()
    eventually(lambda: len(queried(settings)) == 5 and committed(settings) == 7)

    letters = {message.key: message for message in messages(settings, "entity-dlq")}
    assert letters[b"Q90"].value == b"\x00poison"
    assert letters[b"Q91"].value == rejected
    assert letters[b"Q90"].headers["mine"] == b"kept"
    assert letters[b"Q90"].headers["dlq-reason"] == b"undecodable"
    assert letters[b"Q91"].headers["dlq-reason"] == b"not-good"
    assert (letters[b"Q90"].headers["dlq-topic"], letters[b"Q90"].headers["dlq-partition"]) == (b"entity", b"1")


def test_a_record_is_tried_again_while_something_is_away(settings: Settings, start: Start, tmp_path: Path) -> None:
    publish(settings, "away", *["lion"] * 5)
    start()
    eventually((tmp_path / "tried").exists)

    (tmp_path / "back").touch()

    eventually(lambda: len(queried(settings)) == 6 and committed(settings) == 6)


def test_a_second_process_takes_over_what_the_first_had_not_finished(
    settings: Settings, start: Start, tmp_path: Path
) -> None:
    publish(settings, *["wait go", "lion"] * 20)
    first = start()
    eventually(lambda: len(queried(settings)) == 20)
    second = start()
    eventually(lambda: len(queried(settings)) > 20)

    first.send_signal(signal.SIGKILL)
    first.communicate()
    (tmp_path / "go").touch()

    eventually(lambda: len(set(queried(settings))) == 40)
    eventually(lambda: committed(settings) == 40)
    stop(second)
    assert second.returncode == 0


def test_a_committed_offset_that_the_topic_does_not_hold_stops_the_start(settings: Settings, start: Start) -> None:
    publish(settings, *["lion"] * 20)
    Admin(settings).commit("query_builder", "entity", {0: 999})

    process = start()
    log = process.communicate(timeout=60)[1]

    assert process.returncode == 1
    assert "records are gone" in log
    assert "partition 0" in log
    assert queried(settings) == []


def test_a_loss_that_is_accepted_goes_on_at_the_first_record_there_is(settings: Settings, start: Start) -> None:
    publish(settings, *["lion"] * 20)
    Admin(settings).commit("query_builder", "entity", {0: 999})

    start(ENTITYFLOW_ACCEPT_LOSS="true")

    eventually(lambda: len(queried(settings)) == 20)


def test_a_topic_made_anew_while_the_service_was_away_stops_it(settings: Settings, start: Start) -> None:
    publish(settings, *["lion"] * 5)
    first = start()
    eventually(lambda: committed(settings) == 5)
    stop(first)
    make_anew(settings, "entity")
    publish(settings, "wolf", "bear")

    process = start()
    log = process.communicate(timeout=60)[1]

    assert process.returncode == 1
    assert "entity was made anew" in log
    assert "partition" in log
    start(ENTITYFLOW_ACCEPT_LOSS="true")
    eventually(lambda: len(queried(settings)) == 7)


def test_an_offset_carries_the_uuid_of_its_topic_and_counts_for_no_other(settings: Settings, start: Start) -> None:
    publish(settings, *["lion"] * 5)
    first = start()
    eventually(lambda: committed(settings) == 5)
    stop(first)
    notes = Admin(settings).notes("query_builder", "entity")
    assert set(notes.values()) == {Admin(settings).uuids(["entity"])["entity"]}
    Admin(settings).commit("query_builder", "entity", dict(offsets(settings)), note="uuid-of-before")

    process = start()
    log = process.communicate(timeout=60)[1]

    assert process.returncode == 1
    assert "records are gone" in log


def test_a_topic_that_is_missing_is_named(settings: Settings, start: Start) -> None:
    process = start(ENTITYFLOW_PREFIX=f"{settings.prefix}x")
    log = process.communicate(timeout=60)[1]

    assert process.returncode == 1
    assert "entityflow topics create" in log


def test_the_offsets_of_a_group_are_not_moved_under_a_member(settings: Settings, start: Start) -> None:
    publish(settings, *["lion"] * 5)
    start()
    eventually(lambda: committed(settings) == 5)

    with pytest.raises(UserError, match="offset of query_builder"):
        Admin(settings).commit("query_builder", "entity", {0: 0, 1: 0})
