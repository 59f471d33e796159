"""Bad days of a group on the real broker: two members of one name, records at the size limit, work that takes long."""

import pytest
from confluent_kafka import Producer

from entityflow.settings import Settings
from entityflow.stage import read_messages
from tests.integration.test_shell import committed, ended, publish, queried, start, stop  # noqa: F401
from tests.waiting import eventually

STATIC = {"ENTITYFLOW_GROUP_INSTANCE_ID": "query-builder-0"}


def test_of_two_members_with_one_static_name_the_first_leaves_with_one_line(settings, start):  # noqa: F811
    publish(settings, *["lion"] * 20)
    first = start("map", **STATIC)
    eventually(lambda: committed(settings) == 20)

    second = start("map", **STATIC)
    log = ended(first)

    assert first.returncode == 1
    assert "Traceback" not in log
    assert "fenced" in log.lower()
    publish(settings, *["lion"] * 20)
    eventually(lambda: committed(settings) == 40)
    stop(second)
    assert second.returncode == 0
    assert len(queried(settings)) == 40


@pytest.mark.parametrize("size", [2_090_000, (2 << 20) - 100])
def test_a_record_as_large_as_its_topic_allows_becomes_a_dead_letter(settings, start, size):  # noqa: F811
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "message.max.bytes": 3 << 20})
    producer.produce(settings.topic_name("image"), b"\x00" * size, b"k", partition=0)
    assert producer.flush(10) == 0

    start("filtering")

    eventually(lambda: letters(settings))
    assert [len(letter.value) for letter in letters(settings)] == [size]


def letters(settings: Settings):
    return list(read_messages(settings, "image-dlq"))
