"""A record that kills the process is found out and put aside, whatever was in flight with it, and nothing else is."""

import signal

import pytest

from entityflow.admin import Admin
from entityflow.records import Entity, Fingerprint, Origin
from entityflow.settings import Settings
from entityflow.stage import Message, Send, produce_all, read_topic
from tests.integration.test_shell import answered, committed, dead_letters, publish, queried, start, stop  # noqa: F401
from tests.waiting import eventually

STATIC = {"ENTITYFLOW_GROUP_INSTANCE_ID": "one"}  # the next start need not wait until the killed member is missed


def started_until_one_lives(settings: Settings, start, mode: str, done) -> int:  # noqa: F811
    """How many starts it took until `done()`."""
    for count in range(1, 7):
        process = start(mode, **STATIC)
        eventually(lambda process=process: done() or process.poll() is not None)
        if process.poll() is None:
            return count
        assert process.returncode == -signal.SIGKILL, process.communicate()[1]
    raise AssertionError("died every time")


@pytest.mark.parametrize(
    ("before", "starts"),
    [pytest.param(0, 3, id="the first record"), pytest.param(8, 4, id="one among others in flight")],
)
def test_the_record_that_kills_is_dead_lettered_undecoded_and_the_rest_is_worked_on(settings, start, before, starts):  # noqa: F811
    labels = ["lion"] * before + ["kill"] + ["lion"] * 20
    entities = [Entity(id=f"Q{n}", label=label, lang="en") for n, label in enumerate(labels)]
    produce_all("test", settings, [Send("entity", one, partition=0) for one in entities], ["entity"])

    took = started_until_one_lives(settings, start, "map", lambda: committed(settings) == len(labels))

    assert took == starts
    assert set(queried(settings)) == {f"Q{n}" for n, label in enumerate(labels) if label == "lion"}
    ((letter, _),) = dead_letters(settings)
    assert (letter.key, letter.headers["dlq-reason"]) == (f"Q{before}".encode(), b"kills-process")
    assert letter.value == original(settings, letter).value


def original(settings: Settings, letter: Message) -> Message:
    place = int(letter.headers["dlq-partition"]), int(letter.headers["dlq-offset"])
    (found,) = [one for one, _ in read_topic(settings, "entity") if (one.partition, one.offset) == place]
    return found


def test_a_batch_stage_finds_the_record_that_kills_too(settings, start):  # noqa: F811
    origin = Origin(topic_uuid="t", partition=0, offset=0)
    ids = [f"{n:03d}" for n in range(25)]
    ids[4] = "kill"
    made = [Fingerprint(image_id=one, origin=origin, passed=True) for one in ids]
    produce_all("test", settings, [Send("fingerprint", one, partition=0) for one in made], ["fingerprint"])

    took = started_until_one_lives(
        settings, start, "batch", lambda: Admin(settings).committed("index", "fingerprint") == {0: 25}
    )

    assert took <= 4
    assert answered(settings) == set(ids) - {"kill"}
    ((letter, record),) = read_topic(settings, "fingerprint-dlq")
    assert isinstance(record, Fingerprint)
    assert (record.image_id, letter.headers["dlq-reason"]) == ("kill", b"kills-process")


def test_kills_of_processes_that_come_on_make_no_dead_letter(settings, start):  # noqa: F811
    for kills in range(1, 5):
        publish(settings, *["lion"] * 20)
        process = start("map", **STATIC)
        eventually(lambda kills=kills: committed(settings) > 20 * (kills - 1))  # each of them has come on
        process.kill()
        process.communicate()

    process = start("map", **STATIC)
    eventually(lambda: committed(settings) == 80)
    stop(process)

    assert dead_letters(settings) == []
