"""Dead letters on a real broker: counted, shown, and sent back to where they came from."""

from typing import Any

import pytest
from confluent_kafka import Producer

from entityflow.codec import encode
from entityflow.ids import content_id
from entityflow.records import Query
from entityflow.settings import Settings
from entityflow.stage import Message, read_messages
from tests.integration.command import json_of, run_command

QUERY = Query(id=content_id("q"), entity_id="Q1", text="owl \x1b[31m\u202elwo", lang="en", kind="noun", budget=9)


def original(offset: int, value: bytes | None = None, topic: str = "query", **headers: bytes) -> Message:
    sent = {"msg-id": QUERY.id.encode(), "attempt": b"2", **headers}
    return Message(topic, 1, offset, b"key", value or encode(QUERY), sent, 1_764_000_000_000, "uuid-of-topic")


def bury(settings: Settings, *messages: Message, reason: str = "query-refused", error: str = "Rejected") -> None:
    """Write the dead letters of these messages as a service would."""
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    for message in messages:
        added = {
            "dlq-topic": message.topic,
            "dlq-partition": str(message.partition),
            "dlq-offset": str(message.offset),
            "dlq-topic-uuid": message.topic_uuid,
            "dlq-reason": reason,
            "dlq-error-class": error,
            "dlq-error-message": f"{reason}: no \x1b[1mthanks",
            "dlq-stack": "Traceback:\n  in search",
            "dlq-attempts": str(message.attempt + 1),
        }
        name = settings.topic_name(f"{message.topic}-dlq")
        headers = [*message.headers.items(), *((key, text.encode()) for key, text in added.items())]
        producer.produce(name, message.value, message.key, headers=headers)
    assert producer.flush(10) == 0


def came_back(settings: Settings, topic: str = "query") -> list[Message]:
    return list(read_messages(settings, topic))


def shown(settings: Settings, *words: str) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = json_of(settings, "dlq", "show", *words)["letters"]
    return letters


def test_the_list_counts_letters_by_topic_reason_and_error(settings: Settings) -> None:
    bury(settings, original(1), original(2))
    bury(settings, original(3, b"foreign", "url"), reason="undecodable")

    rows = json_of(settings, "dlq", "list")["letters"]

    assert [(row["topic"], row["reason"], row["error"], row["count"], row["replayed"]) for row in rows] == [
        ("query", "query-refused", "Rejected", 2, 0),
        ("url", "undecodable", "Rejected", 1, 0),
    ]
    assert all(row["first"] <= row["last"] for row in rows)


def test_a_letter_is_shown_with_its_origin_its_error_and_its_decoded_value(settings: Settings) -> None:
    bury(settings, original(7))

    (letter,) = shown(settings)

    assert (letter["topic"], letter["partition"], letter["offset"]) == ("query", 1, 7)
    assert (letter["reason"], letter["error"], letter["attempts"]) == ("query-refused", "Rejected", 3)
    assert letter["message"] == "query-refused: no thanks"
    assert letter["stack"] == "Traceback:\n  in search"
    assert letter["headers"] == {"msg-id": QUERY.id, "attempt": "2"}
    assert (letter["type"], letter["value"]["text"]) == ("Query", "owl lwo")


def test_bytes_of_nobody_are_shown_in_hex_and_nothing_moves_the_terminal(settings: Settings) -> None:
    bury(settings, original(7, b"\xff\x1b[2Jhello"))

    (letter,) = shown(settings)
    text = run_command(settings, "dlq", "show").stdout

    assert letter["value"] == {"hex": b"\xff\x1b[2Jhello".hex(), "text": "\ufffdhello"}
    assert "\x1b" not in text


def test_filters_pick_letters_by_original_place_reason_and_time(settings: Settings) -> None:
    bury(settings, original(1), original(2), original(3))
    bury(settings, original(4), reason="unknown-provider", error="ValueError")

    assert [letter["offset"] for letter in shown(settings, "--offset", "2", "--partition", "1")] == [2]
    assert [letter["offset"] for letter in shown(settings, "--reason", "unknown-provider")] == [4]
    assert [letter["offset"] for letter in shown(settings, "--limit", "2")] == [3, 4]
    assert [letter["offset"] for letter in shown(settings, "--error", "ValueError")] == [4]
    assert shown(settings, "--until", "2020-01-01") == []
    assert len(shown(settings, "--since", "1h")) == 4


def test_a_replayed_letter_is_the_original_again_in_its_own_partition(settings: Settings) -> None:
    bury(settings, original(7, traceparent=b"00-abc"))

    document = json_of(settings, "dlq", "replay", "--topic", "query")

    (message,) = came_back(settings)
    assert (document["chosen"], document["replayed"]) == (1, 1)
    assert (message.partition, message.key, message.value) == (1, b"key", encode(QUERY))
    assert message.headers == {"msg-id": QUERY.id.encode(), "attempt": b"3", "traceparent": b"00-abc"}


def test_headers_that_repeat_or_have_no_value_go_back_as_they_came(settings: Settings) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    own: list[tuple[str, bytes | None]] = [("tag", b"one"), ("tag", b"two"), ("empty", None)]
    place = [("dlq-partition", b"1"), ("dlq-offset", b"7"), ("dlq-topic-uuid", b"u")]
    producer.produce(settings.topic_name("query-dlq"), encode(QUERY), b"key", headers=[*own, *place])  # type: ignore[list-item]
    assert producer.flush(10) == 0

    run_command(settings, "dlq", "replay")

    (message,) = came_back(settings)
    assert list(message.given_headers) == [*own, ("attempt", b"1")]


def test_a_second_replay_sends_nothing_and_says_so(settings: Settings) -> None:
    bury(settings, original(7), original(8))
    run_command(settings, "dlq", "replay", "--offset", "7")

    second = run_command(settings, "dlq", "replay")
    third = run_command(settings, "dlq", "replay")

    assert second.stderr.splitlines()[-1] == (
        "sent back 1 letters (query 1); 1 were sent back before: --again sends them once more"
    )
    assert third.stderr.splitlines()[-1].startswith("sent back 0 letters; 2 were sent back before")
    assert len(came_back(settings)) == 2
    assert json_of(settings, "dlq", "list")["letters"][0]["replayed"] == 2


def test_again_sends_them_once_more(settings: Settings) -> None:
    bury(settings, original(7))
    run_command(settings, "dlq", "replay")

    run_command(settings, "dlq", "replay", "--again")

    assert len(came_back(settings)) == 2


def test_one_message_that_was_buried_twice_goes_back_once(settings: Settings) -> None:
    bury(settings, original(7), original(7))

    assert json_of(settings, "dlq", "replay")["replayed"] == 1
    assert len(came_back(settings)) == 1


def test_a_dry_run_sends_nothing(settings: Settings) -> None:
    bury(settings, original(7), original(8))

    document = json_of(settings, "dlq", "replay", "--dry-run", "--limit", "1")

    assert (document["chosen"], document["replayed"], document["topics"]) == (1, 0, {"query": 1})
    assert came_back(settings) == []


def test_a_deletion_that_was_dead_lettered_goes_back_as_one(settings: Settings) -> None:
    message = Message("entity", 0, 3, b"Q1", None, {}, 0, "uuid")
    bury(settings, message)

    run_command(settings, "dlq", "replay", "--topic", "entity")

    assert [(one.key, one.value) for one in came_back(settings, "entity")] == [(b"Q1", None)]


def test_a_message_that_no_service_put_there_is_shown_and_stays(settings: Settings) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    producer.produce(settings.topic_name("query-dlq"), b"?", headers=[("dlq-partition", b"\xff"), ("dlq-offset", b"x")])
    producer.produce(settings.topic_name("query-dlq"), b"?", headers=[("dlq-replayed", b"[[1")])
    producer.flush(10)

    document = json_of(settings, "dlq", "replay")

    assert (document["replayed"], document["without_origin"]) == (0, 1)
    assert [letter["reason"] for letter in shown(settings)] == ["unknown"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("list", "--since", "soon"), "error: --since 'soon' is no moment"),
        (("show", "--topic", "qeury"), "hint: did you mean query?"),
        (("replay", "--topic", "shard"), "error: --topic 'shard' has no dead letters"),
    ],
)
def test_a_wrong_word_is_one_line_with_its_cure(settings: Settings, words: tuple[str, ...], told: str) -> None:
    ran = run_command(settings, "dlq", *words)

    assert ran.returncode == 2
    assert told in ran.stderr.splitlines()
    assert len(ran.stderr.splitlines()) == 2


def test_without_topics_or_broker_it_says_what_is_missing(settings: Settings) -> None:
    without_topics = run_command(settings, "dlq", "list", ENTITYFLOW_PREFIX=f"{settings.prefix}-empty")
    without_broker = run_command(settings, "dlq", "replay", ENTITYFLOW_KAFKA_BOOTSTRAP="127.0.0.1:1")

    assert (without_topics.returncode, without_broker.returncode) == (1, 1)
    assert "hint: entityflow topics create" in without_topics.stderr
    assert "nothing answers at 127.0.0.1:1" in without_broker.stderr
