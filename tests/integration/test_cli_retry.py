"""Failed candidates sent again through the real line: asked anew, ended anew, counted once."""

import pytest

from entityflow.codec import decode
from entityflow.records import Origin, Outcome, Url
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all, read_topic
from tests.integration.command import json_of, run_command

URL = Url(candidate_id="c1", url_id="u1", address="https://pictures.example/1.jpg", provider="list", title="An owl")


def offered_and_ended(settings: Settings, result: str = "timeout") -> None:
    produce_all("test", settings, [Send("url", URL, key="pictures.example")], ["url"])
    ((message, _),) = read_topic(settings, "url")
    ended = Outcome(
        candidate_id="c1",
        url_id="u1",
        provider="list",
        host="pictures.example",
        address=URL.address,
        stage="fetcher",
        result=result,
        url_origin=Origin(topic_uuid=message.topic_uuid, partition=message.partition, offset=message.offset),
        at=message.timestamp_ms / 1000,
    )
    produce_all("test", settings, [Send("outcome", ended)], ["outcome"])


def test_a_failed_candidate_is_offered_again_under_its_id_and_counts_once(settings: Settings) -> None:
    offered_and_ended(settings)

    document = json_of(settings, "retry", "--reason", "timeout", "--host", "pictures.example", "--since", "1h")

    assert (document["failed"], document["sent"]) == (1, 1)
    first, again = sorted(read_topic(settings, "url"), key=lambda item: item[0].offset)
    assert again[0].value is not None
    sent = decode(again[0].value)
    assert isinstance(sent, Url)
    assert (sent.candidate_id, sent.refetch, sent.title) == ("c1", True, "An owl")
    assert (again[0].partition, again[0].key, again[0].headers["msg-id"]) == (first[0].partition, first[0].key, b"c1")
    report = json_of(settings, "report")
    assert (report["candidates"], report["outcomes"], report["pending"]) == (1, {"timeout": 1}, 0)


def test_sent_twice_in_a_row_the_second_time_says_that_it_is_under_way(settings: Settings) -> None:
    offered_and_ended(settings)
    run_command(settings, "retry", "--reason", "timeout")

    second = run_command(settings, "retry", "--reason", "timeout")

    assert second.stderr.splitlines()[-1] == "sent 0 of 1 candidates that ended as timeout; 1 are under way already"
    assert len(list(read_topic(settings, "url"))) == 2


def test_a_dry_run_sends_nothing(settings: Settings) -> None:
    offered_and_ended(settings)

    ran = run_command(settings, "retry", "--reason", "timeout", "--dry-run")

    assert ran.stderr.splitlines()[-1] == "would send 1 of 1 candidates that ended as timeout"
    assert len(list(read_topic(settings, "url"))) == 1


def test_a_site_that_refused_is_asked_again_only_where_that_is_said(settings: Settings) -> None:
    offered_and_ended(settings, "opted-out")

    without = run_command(settings, "retry", "--reason", "opted-out")

    assert without.returncode == 2
    assert "with --refused each is asked once more" in without.stderr
    assert json_of(settings, "retry", "--reason", "opted-out", "--refused")["sent"] == 1


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("timout", "did you mean timeout?"),
        ("undecodable", "entityflow dlq replay --reason undecodable"),
        ("accepted", "no candidate fails with --reason 'accepted'"),
        ("forgotten", "no candidate fails with --reason 'forgotten'"),
    ],
)
def test_a_word_that_no_candidate_fails_with_is_one_line_with_its_cure(
    settings: Settings, reason: str, told: str
) -> None:
    ran = run_command(settings, "retry", "--reason", reason)

    assert ran.returncode == 2
    assert told in ran.stderr
    assert len(ran.stderr.splitlines()) == 2
