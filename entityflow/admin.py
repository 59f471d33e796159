"""Looking at the broker and preparing it: topics, uuids, offsets of groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

from entityflow.errors import UserError
from entityflow.kafka import client_properties
from entityflow.settings import Settings
from entityflow.topics import DAY_MS, DLQ_RETENTION_DAYS, Topic, dead_letter_topics, load_topics

SECONDS = 30.0
NO_OFFSET = -1001

T = TypeVar("T")
Place = tuple[str, int]  # topic without prefix, partition


class Admin:
    """The broker's answers in our words: topic names without prefix, plain dicts, UserError for what a person mends."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client = AdminClient(client_properties(settings))

    def uuids(self, topics: Iterable[str]) -> dict[str, str]:
        """The broker's id of each topic that exists."""
        return {name: str(described.topic_id) for name, described in self._described(topics).items()}

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """The partition count of each topic that exists."""
        return {name: len(described.partitions) for name, described in self._described(topics).items()}

    def _described(self, topics: Iterable[str]) -> dict[str, Any]:
        names = {self.settings.topic_name(topic): topic for topic in topics}
        if not names:
            return {}
        futures = self._call(
            lambda: self._client.describe_topics(TopicCollection(list(names)), request_timeout=SECONDS)
        )
        found = {}
        for name, future in futures.items():
            try:
                found[names[name]] = self._result(future)
            except KafkaException as exc:
                if exc.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise self._away(exc) from exc
        return found

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        return self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        return self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def at(self, places: Iterable[Place], timestamp_ms: int) -> dict[Place, int]:
        """The first offset whose record is not older; -1 where all are."""
        return self._offsets(places, OffsetSpec.for_timestamp(timestamp_ms))

    def _offsets(self, places: Iterable[Place], spec: OffsetSpec) -> dict[Place, int]:
        asked = {TopicPartition(self.settings.topic_name(topic), partition): spec for topic, partition in places}
        if not asked:
            return {}
        futures = self._call(lambda: self._client.list_offsets(asked, request_timeout=SECONDS))
        return {self._place(at): self._result(future).offset for at, future in futures.items()}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Committed offset by partition; partitions without one are left out."""
        name = self.settings.topic_name(topic)
        asked = [ConsumerGroupTopicPartitions(self.settings.group_name(group))]
        futures = self._call(lambda: self._client.list_consumer_group_offsets(asked, request_timeout=SECONDS))
        (future,) = futures.values()
        try:
            found = self._result(future).topic_partitions
        except KafkaException as exc:
            if exc.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return {}
            raise self._away(exc) from exc
        return {at.partition: at.offset for at in found if at.topic == name and at.offset >= 0}

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Set offsets of a group that has no member on these partitions."""
        if not offsets:
            return
        name = self.settings.topic_name(topic)
        places = [TopicPartition(name, partition, offset) for partition, offset in offsets.items()]
        asked = [ConsumerGroupTopicPartitions(self.settings.group_name(group), places)]
        futures = self._call(lambda: self._client.alter_consumer_group_offsets(asked, request_timeout=SECONDS))
        for future in futures.values():
            self._result(future)

    def delete_up_to(self, offsets: Mapping[Place, int]) -> None:
        """Delete the records before each offset: all its readers have finished them."""
        asked = [
            TopicPartition(self.settings.topic_name(topic), partition, offset)
            for (topic, partition), offset in offsets.items()
        ]
        if asked:
            for future in self._call(lambda: self._client.delete_records(asked, request_timeout=SECONDS)).values():
                self._result(future)

    def create(self, new: Iterable[tuple[str, int, Mapping[str, str]]]) -> list[str]:
        """Create topics (name, partitions, properties); returns the names that did not exist."""
        asked = [
            NewTopic(self.settings.topic_name(name), num_partitions=count, replication_factor=-1, config=dict(config))
            for name, count, config in new
        ]
        if not asked:
            return []
        made = []
        for name, future in self._call(lambda: self._client.create_topics(asked, request_timeout=SECONDS)).items():
            try:
                self._result(future)
                made.append(name)
            except KafkaException as exc:
                if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise UserError(f"topic {name} could not be created: {exc.args[0].str()}") from exc
        return [self._bare(name) for name in made]

    def _place(self, at: TopicPartition) -> Place:
        return self._bare(at.topic), at.partition

    def _bare(self, name: str) -> str:
        return name.removeprefix(f"{self.settings.prefix}.") if self.settings.prefix else name

    def _call(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except KafkaException as exc:
            raise self._away(exc) from exc

    def _result(self, future: Future[Any]) -> Any:
        try:
            return future.result(SECONDS + 5)
        except KafkaException as exc:
            if exc.args[0].code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                raise self._away(exc) from exc
            raise

    def _away(self, exc: KafkaException) -> UserError:
        return UserError(
            f"no answer from Kafka at {self.settings.kafka_bootstrap}: {exc.args[0].str()}",
            hint="entityflow up starts the local stack; ENTITYFLOW_KAFKA_BOOTSTRAP names another broker",
        )


def create_topics(settings: Settings) -> list[str]:
    """Create every topic that is missing, and offset 0 for each group of a topic that nothing was deleted from yet.

    So a missing offset later is a loss and not a first start. A partition count that differs stops with its name.
    Returns the names that were created.
    """
    admin = Admin(settings)
    wanted = {topic.name: topic for topic in load_topics().values()}
    counts = {name: topic.count(settings.small_topics) for name, topic in wanted.items()}
    letters = {name: 1 if settings.small_topics else count for name, count in dead_letter_topics()}
    expected = {**counts, **letters}
    there = admin.partitions(expected)
    for name, count in there.items():
        if count != expected[name]:
            raise UserError(
                f"topic {settings.topic_name(name)} has {count} partitions, topics.yaml says {expected[name]}",
                hint="partition counts never change under a prefix: choose another ENTITYFLOW_PREFIX",
            )
    new: list[tuple[str, int, Mapping[str, str]]] = [
        (name, counts[name], topic.configuration(settings.small_topics))
        for name, topic in wanted.items()
        if name not in there
    ]
    new += [(name, count, _dead_letter_configuration(settings)) for name, count in letters.items() if name not in there]
    made = admin.create(new)
    for topic in wanted.values():
        _begin_groups(admin, topic, counts[topic.name])
    return made


def _dead_letter_configuration(settings: Settings) -> dict[str, str]:
    keep = "-1" if settings.small_topics else str(DLQ_RETENTION_DAYS * DAY_MS)
    return {"cleanup.policy": "delete", "retention.ms": keep, "max.message.bytes": str(2 << 20)}


def _begin_groups(admin: Admin, topic: Topic, partitions: int) -> None:
    for group in topic.groups:
        done = admin.committed(group.name, topic.name)
        missing = [partition for partition in range(partitions) if partition not in done]
        starts = admin.starts((topic.name, partition) for partition in missing)
        admin.commit(group.name, topic.name, {partition: 0 for (_, partition), low in starts.items() if low == 0})


def require_topics(settings: Settings, topics: Iterable[str]) -> dict[str, str]:
    """The uuid of each topic; raises UserError that names the first one missing."""
    asked = list(topics)
    found = Admin(settings).uuids(asked)
    for topic in asked:
        if topic not in found:
            raise UserError(
                f"topic {settings.topic_name(topic)} does not exist on {settings.kafka_bootstrap}",
                hint="entityflow topics create",
            )
    return found
