"""The report adds up, whatever was replayed."""

from dataclasses import replace

from entityflow.ids import content_id
from entityflow.records import Address, Entity, Model, Outcome, Query, Shard, ShardInput, Url
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all
from tests.integration.command import json_of, run_command

URL = Url(candidate_id="", url_id="u", address="http://pictures.test/a.jpg", provider="demo", entity_id="Q1")
OUTCOME = Outcome(
    candidate_id="", url_id="u", provider="demo", stage="filter", result="accepted", at=0.0, entity_id="Q1"
)
SHARD = Shard(
    shard_id="p000-000000000000",
    version=1,
    manifest="shards/p000/000000000000.json",
    count=4,
    heldout_count=1,
    bytes=10,
    sha256="0" * 64,
    input=ShardInput(topic_uuid="t", partition=0, start=0, end=4),
    entities=1,
    schema_fingerprints=(),
    writer_version="test",
)


def url(name: str) -> Send:
    return Send("url", replace(URL, candidate_id=content_id(name)), key="pictures.test")


def outcome(name: str, result: str) -> Send:
    return Send("outcome", replace(OUTCOME, candidate_id=content_id(name), result=result))


def seed(settings: Settings, *sends: Send) -> None:
    produce_all("test", settings, sends, {send.topic for send in sends})


def test_every_candidate_counts_once_or_is_pending(settings: Settings) -> None:
    seed(settings, *map(url, "abcda"), outcome("a", "accepted"), outcome("a", "http-404"), outcome("b", "merged"))
    seed(settings, outcome("c", "robots-denied"), outcome("c", "too-small"))

    report = json_of(settings, "report")

    assert report["candidates"] == 4
    assert report["outcomes"] == {"accepted": 1, "merged": 1, "too-small": 1}
    assert (report["accepted"], report["merged"], report["pending"]) == (1, 1, 1)
    assert report["topics"]["outcome"] == 5


def test_entities_queries_and_images_are_counted_by_their_ids(settings: Settings) -> None:
    entity, query = (
        Entity(id="Q1", label="owl", lang="en"),
        Query(id="q", entity_id="Q1", text="owl", lang="en", kind="noun", budget=5),
    )
    seed(
        settings, Send("entity", entity), Send("entity", entity), Send("entity", replace(entity, id="Q2", retired=True))
    )
    seed(settings, Send("query", query), Send("query", query))
    seed(
        settings, Send("address", Address(url_id="u", image_id="i")), Send("address", Address(url_id="v", image_id="i"))
    )

    report = json_of(settings, "report")

    assert (report["entities"], report["queries"], report["images"]) == (1, 1, 1)


def test_of_a_shard_only_the_newest_version_counts(settings: Settings) -> None:
    seed(settings, Send("shard", SHARD), Send("shard", replace(SHARD, version=2, count=3)), Send("shard", SHARD))

    report = json_of(settings, "report")

    assert report["shards"] == {"count": 1, "samples": 3, "heldout": 1}


def test_the_model_is_shown_beside_chance(settings: Settings) -> None:
    metrics = {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "chance": 0.1, "majority": 0.3}
    seed(settings, Send("model", Model(version="m1", uri="models/m1", metrics=metrics, promoted=True, at=0.0)))

    report = json_of(settings, "report")["model"]
    text = run_command(settings, "report").stdout

    assert (report["version"], report["accuracy"], report["chance"]) == ("m1", 0.5, 0.1)
    assert "now 0.500 (95 % interval 0.400-0.600), chance 0.100, the commonest alone 0.300" in text


def test_an_empty_line_has_a_report_too(settings: Settings) -> None:
    report = json_of(settings, "report")

    assert report["schema"] == 1
    assert report["outcomes"] == {}
    assert report["model"] is None
