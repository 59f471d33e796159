"""Retention never eats work: input waits while a group below is close to losing records."""

import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from entityflow.admin import Admin, create_topics
from entityflow.records import Fingerprint, Url
from entityflow.settings import Settings, load_settings
from entityflow.stage import Send, produce_all, read_topic
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


def image_of_age(settings: Settings, days: float, partition: int = 7, size: int = 10) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    at = int((time.time() - days * DAY_SECONDS) * 1000)
    producer.produce(settings.topic_name("image"), b"p" * size, b"key", partition=partition, timestamp=at)
    producer.flush(10)


def change(settings: Settings, **properties: object) -> None:
    """Properties of `image` on the broker, and wait until they are in force."""
    wanted = {name.replace("_", "."): str(value) for name, value in properties.items()}
    client = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wanted.items()]
    resource = ConfigResource(ResourceType.TOPIC, settings.topic_name("image"), incremental_configs=entries)
    for future in client.incremental_alter_configs([resource]).values():
        future.result(10)
    eventually(lambda: wanted.items() <= Admin(settings).properties(["image"])["image"].items())


def test_a_group_that_has_not_read_what_is_a_quarter_of_the_retention_old_is_behind(settings):
    image_of_age(settings, days=1)

    behind = RetentionGuard("fetcher", settings).behind()

    assert behind == "filter on image: partition 7 has unread records older than 25% of its retention"


def test_a_group_that_has_read_the_old_records_is_not_behind(settings):
    image_of_age(settings, days=1)
    image_of_age(settings, days=0)
    Admin(settings).commit("filter", "image", {7: 1})

    assert RetentionGuard("fetcher", settings).behind() is None


def test_what_the_broker_says_of_retention_counts(settings):
    image_of_age(settings, days=1)
    change(settings, retention_ms=-1)

    assert RetentionGuard("fetcher", settings).behind() is None


def test_a_group_that_has_not_read_half_of_the_bytes_that_are_kept_is_behind(settings):
    change(settings, retention_bytes=100_000)
    for _ in range(4):
        image_of_age(settings, days=0, size=10_000)
    assert RetentionGuard("fetcher", settings).behind() is None

    for _ in range(2):
        image_of_age(settings, days=0, size=10_000)

    behind = RetentionGuard("fetcher", settings).behind()
    assert behind is not None
    assert behind.startswith("filter on image: partition 7 has about 60")
    Admin(settings).commit("filter", "image", {7: 3})
    assert RetentionGuard("fetcher", settings).behind() is None


def test_bytes_of_all_partitions_count_against_the_limit_of_the_settings(settings):
    own = settings.model_copy(update={"guard_backlog_bytes": 25_000})
    for partition in (1, 2):
        image_of_age(own, days=0, partition=partition, size=10_000)
    assert RetentionGuard("fetcher", own).behind() is None

    image_of_age(own, days=0, partition=3, size=10_000)

    assert "guard_backlog_bytes is 25000" in (RetentionGuard("fetcher", own).behind() or "")


def test_a_partition_is_sampled_again_after_a_while_only(settings):
    change(settings, retention_ms=-1, retention_bytes=1_000_000)
    image_of_age(settings, days=0)
    sampled, now = [], [0.0]

    def sample(_settings: Settings, place: tuple[str, int], end: int) -> float:
        sampled.append((place, end))
        return 10.0

    guard = RetentionGuard("fetcher", settings, clock=lambda: now[0], sample=sample)
    for seconds in (0, 30, 299, 301):
        now[0] = seconds
        guard.behind()

    assert sampled == [(("image", 7), 1)] * 2


def test_an_idle_topic_that_is_read_to_its_end_guards_nothing(settings):
    image_of_age(settings, days=2)
    Admin(settings).commit("filter", "image", {7: 1})

    assert RetentionGuard("fetcher", settings).behind() is None


def test_a_stage_takes_no_input_until_the_group_below_has_caught_up(settings, start, tmp_path: Path):  # noqa: F811
    image_of_age(settings, days=1)
    url = Url(candidate_id="c", url_id="seen", address="http://pictures.example/", provider="test")
    produce_all("test", settings, [Send("url", url, key="pictures.example")], ["url"])
    process = start("guarded", ENTITYFLOW_SMALL_TOPICS="false", ENTITYFLOW_GUARD_SECONDS="0.2")
    wait_for_line(process, "guard", "waits_for", "filter on image")
    assert not (tmp_path / "seen").exists()

    Admin(settings).commit("filter", "image", {7: 1})

    eventually((tmp_path / "seen").exists)


def test_a_filter_that_was_away_for_longer_than_the_guards_age_loses_nothing(settings, start):  # noqa: F811
    settings = settings.model_copy(update={"prefix": f"{settings.prefix}s", "small_topics": True})
    create_topics(settings)
    change(settings, retention_ms=12_000)
    Admin(settings).commit("filter", "image", {0: 1})
    image_of_age(settings, days=1, partition=0)
    publish_urls(settings, 80)
    common = {"ENTITYFLOW_PREFIX": settings.prefix, "ENTITYFLOW_GUARD_SECONDS": "0.2"}
    fetching = start("fetching", **common)
    wait_for_line(fetching, "guard", "waits_for", "25%")
    eventually(lambda: Admin(settings).starts([("image", 0)]) == {("image", 0): 1})  # the broker does delete

    start("filtering", **common)

    eventually(lambda: len(fingerprinted(settings)) == 80)


def publish_urls(settings: Settings, count: int) -> None:
    address = "http://pictures.example/"
    urls = [Url(candidate_id=f"c{n}", url_id=f"{n}", address=address, provider="test") for n in range(count)]
    produce_all("test", settings, [Send("url", url, key="pictures.example") for url in urls], ["url"])


def fingerprinted(settings: Settings) -> set[str]:
    return {record.image_id for _, record in read_topic(settings, "fingerprint") if isinstance(record, Fingerprint)}


def wait_for_line(process, *words: str) -> None:
    for line in process.stderr:
        if all(word in line for word in words):
            return
    raise AssertionError(f"the process ended without a line with {words}")
