"""Topics on a real broker: created, listed, and their records read by people."""

from dataclasses import replace

from confluent_kafka import Producer

from entityflow.ids import content_id
from entityflow.records import Entity, Outcome
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all
from entityflow.topics import load_topics
from tests.integration.command import json_of, run_command

OUTCOME = Outcome(candidate_id=content_id("a"), url_id="u", provider="demo", stage="filter", result="accepted", at=0.0)


def seed(settings: Settings, *outcomes: Outcome) -> None:
    produce_all("test", settings, [Send("outcome", one) for one in outcomes], ["outcome"])


def numbered(count: int, result: str = "accepted") -> list[Outcome]:
    return [
        replace(OUTCOME, candidate_id=content_id(result, str(i)), entity_id="Q1", result=result) for i in range(count)
    ]


def test_creating_topics_again_creates_none(settings: Settings) -> None:
    assert json_of(settings, "topics", "create") == {"schema": 1, "created": []}


def test_the_list_has_every_topic_with_its_records_and_what_each_group_has_left(settings: Settings) -> None:
    seed(settings, *numbered(3))

    rows = {row["topic"]: row for row in json_of(settings, "topics", "list")["topics"]}

    assert list(rows) == list(load_topics())
    assert rows["outcome"] == {"topic": "outcome", "partitions": 2, "records": 3, "left": {"coverage": 3}}


def test_tail_shows_the_newest_records_decoded(settings: Settings) -> None:
    seed(settings, *numbered(5))

    document = json_of(settings, "topics", "tail", "outcome", "--limit", "2")

    assert [row["record"]["candidate_id"] for row in document["records"]] == [
        one.candidate_id for one in numbered(5)[-2:]
    ]
    assert {row["type"] for row in document["records"]} == {"Outcome"}


def test_tail_finds_records_by_a_field_in_the_whole_topic(settings: Settings) -> None:
    seed(settings, *numbered(2, "http-404"), *numbered(30))

    document = json_of(settings, "topics", "tail", "outcome", "--where", "result=http-404", "--limit", "5")

    assert [row["record"]["result"] for row in document["records"]] == ["http-404", "http-404"]


def test_tail_shows_foreign_bytes_as_their_size(settings: Settings) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    producer.produce(settings.topic_name("entity"), b"not one of ours", b"Q1")
    producer.flush(10)

    (row,) = json_of(settings, "topics", "tail", "entity")["records"]

    assert (row["type"], row["record"]) == ("bytes", "<15 bytes>")


def test_tail_is_a_line_a_record_when_piped(settings: Settings) -> None:
    produce_all("test", settings, [Send("entity", Entity(id="Q1", label="owl", lang="en"))], ["entity"])

    ran = run_command(settings, "topics", "tail", "entity")

    (line,) = ran.stdout.splitlines()
    assert line.split("\t")[1:3] == ["Q1", "Entity"]
    assert '"label": "owl"' in line


def test_describe_shows_offsets_and_what_the_topic_is_for(settings: Settings) -> None:
    seed(settings, *numbered(1))

    document = json_of(settings, "topics", "describe", "outcome")

    assert document["groups"] == ["coverage"]
    assert sum(row["end"] - row["start"] for row in document["partitions"]) == 1
    assert all(row["committed"] == {"coverage": 0} for row in document["partitions"])


def test_without_topics_a_reading_command_says_which_is_missing_and_how_to_make_it(settings: Settings) -> None:
    ran = run_command(settings, "report", ENTITYFLOW_PREFIX=f"{settings.prefix}-empty")

    assert ran.returncode == 1
    assert "does not exist" in ran.stderr
    assert "hint: entityflow topics create" in ran.stderr
