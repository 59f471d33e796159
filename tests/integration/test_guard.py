"""Retention never eats work: input waits while a group below is close to losing records."""

import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer

from entityflow.admin import Admin
from entityflow.records import Url
from entityflow.settings import Settings, load_settings
from entityflow.stage import Send, produce_all
from entityflow.stage.guard import RetentionGuard
from entityflow.topics import load_topics
from tests.integration.test_shell import start  # noqa: F401  (a fixture)
from tests.waiting import eventually

DAY_SECONDS = 86_400


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Topics as a cluster has them: with retention."""
    own = load_settings(kafka_bootstrap=settings.kafka_bootstrap, prefix=f"g{uuid.uuid4().hex[:8]}", small_topics=False)
    topics = [load_topics()[name] for name in ("url", "image")]
    Admin(own).create((topic.name, topic.partitions, topic.configuration(small=False)) for topic in topics)
    Admin(own).commit("fetcher", "url", dict.fromkeys(range(load_topics()["url"].partitions), 0))
    return own


def image_of_age(settings: Settings, days: float) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    at = int((time.time() - days * DAY_SECONDS) * 1000)
    producer.produce(settings.topic_name("image"), b"picture", b"key", partition=7, timestamp=at)
    producer.flush(10)


def test_a_group_that_has_not_read_what_is_a_quarter_of_the_retention_old_is_behind(settings):
    image_of_age(settings, days=1)

    assert RetentionGuard("fetcher", settings).behind() == "filter on image"


def test_a_group_that_has_read_the_old_records_is_not_behind(settings):
    image_of_age(settings, days=1)
    image_of_age(settings, days=0)
    Admin(settings).commit("filter", "image", {7: 1})

    assert RetentionGuard("fetcher", settings).behind() is None


def test_an_idle_topic_that_is_read_to_its_end_guards_nothing(settings):
    image_of_age(settings, days=2)
    Admin(settings).commit("filter", "image", {7: 1})

    assert RetentionGuard("fetcher", settings).behind() is None


def test_a_stage_takes_no_input_until_the_group_below_has_caught_up(settings, start, tmp_path: Path):  # noqa: F811
    image_of_age(settings, days=1)
    url = Url(candidate_id="c", url_id="seen", address="http://pictures.example/", provider="test")
    produce_all("test", settings, [Send("url", url, key="pictures.example")], ["url"])
    process = start("guarded", ENTITYFLOW_SMALL_TOPICS="false", ENTITYFLOW_GUARD_SECONDS="0.2")
    wait_for_line(process, "guard waits_for", "filter on image")
    assert not (tmp_path / "seen").exists()

    Admin(settings).commit("filter", "image", {7: 1})

    eventually((tmp_path / "seen").exists)


def wait_for_line(process, *words: str) -> None:
    for line in process.stderr:
        if all(word.split()[-1] in line for word in words):
            return
    raise AssertionError(f"the process ended without a line with {words}")
