"""Looking at the broker and preparing it: topics, uuids, offsets of groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from entityflow.errors import UserError
from entityflow.kafka import GroupOffsets, client_properties
from entityflow.settings import Settings
from entityflow.topics import DAY_MS, DLQ_MAX_MESSAGE_BYTES, DLQ_RETENTION_DAYS, Topic, dead_letter_topics, load_topics

REQUEST_SECONDS = 5.0
PATIENCE_SECONDS = 30.0
LEADERS_SECONDS = 0.2
# a topic just made has no leaders yet, and a broker just started no group coordinator
SETTLING = {
    KafkaError._NOENT,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
}

T = TypeVar("T")
Place = tuple[str, int]  # topic without prefix, partition


def _settling(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in SETTLING


@dataclass
class Ask:
    """Asks the broker until it has settled; at the end of our patience it is away."""

    bootstrap: str
    seconds: float = PATIENCE_SECONDS

    def __call__(self, question: Callable[[], T]) -> T:
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_settling),
                stop=stop_after_delay(self.seconds),
                wait=wait_fixed(0.1),
                reraise=True,
            ):
                with attempt:
                    return question()
        except KafkaException as exc:
            if _settling(exc):
                raise UserError(
                    f"no answer from Kafka at {self.bootstrap}: {exc.args[0].str()}",
                    hint="entityflow up starts the local stack; ENTITYFLOW_KAFKA_BOOTSTRAP names another broker",
                ) from exc
            raise
        raise AssertionError("the loop above returns or raises")


class Admin:
    """The broker's answers in our words: topic names without prefix, plain dicts, UserError for what a person mends."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client = AdminClient(client_properties(settings))
        self._ask = Ask(settings.kafka_bootstrap)
        self._groups: dict[str, GroupOffsets] = {}

    def uuids(self, topics: Iterable[str]) -> dict[str, str]:
        """The broker's id of each topic that exists."""
        return {name: str(described.topic_id) for name, described in self._described(topics).items()}

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """The partition count of each topic that exists."""
        return {name: len(described.partitions) for name, described in self._described(topics).items()}

    def led(self, topics: Iterable[str]) -> bool:
        """Whether all topics exist and every partition of them has a leader."""
        asked = list(topics)
        found = self._described(asked)
        return len(found) == len(asked) and all(
            place.leader is not None for described in found.values() for place in described.partitions
        )

    def _described(self, topics: Iterable[str]) -> dict[str, Any]:
        names = {self.settings.topic_name(topic): topic for topic in topics}
        if not names:
            return {}
        asked = TopicCollection(list(names))
        found = self._ask(
            lambda: {
                names[name]: _unless(KafkaError.UNKNOWN_TOPIC_OR_PART, future)
                for name, future in self._client.describe_topics(asked, request_timeout=REQUEST_SECONDS).items()
            }
        )
        return {name: described for name, described in found.items() if described is not None}

    def properties(self, topics: Iterable[str]) -> dict[str, dict[str, str]]:
        """The properties of each topic as they are in force on the broker."""
        asked = {self.settings.topic_name(topic): topic for topic in topics}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in asked]
        if not resources:
            return {}
        return self._ask(
            lambda: {
                asked[resource.name]: {name: str(entry.value) for name, entry in future.result().items()}
                for resource, future in self._client.describe_configs(
                    resources, request_timeout=REQUEST_SECONDS
                ).items()
            }
        )

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
        return self._ask(
            lambda: {
                (self._bare(at.topic), at.partition): self._known(future).offset
                for at, future in self._client.list_offsets(asked, request_timeout=REQUEST_SECONDS).items()
            }
        )

    def _known(self, future: Future[T]) -> T:
        """The result. A client that has seen the leaders before a restart keeps asking for them: a new one does not."""
        try:
            return future.result()
        except KafkaException as exc:
            if exc.args[0].code() in (KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH):
                self._client = AdminClient(client_properties(self.settings))
            raise

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Committed offset by partition; partitions without one are left out."""
        return {at.partition: at.offset for at in self._committed(group, topic)}

    def notes(self, group: str, topic: str) -> dict[int, str]:
        """What lies beside the committed offsets, by partition."""
        return {at.partition: at.metadata or "" for at in self._committed(group, topic)}

    def _committed(self, group: str, topic: str) -> list[TopicPartition]:
        name = self.settings.topic_name(topic)
        places = [TopicPartition(name, partition) for partition in range(self.partitions([topic]).get(topic, 0))]
        if not places:
            return []
        found = self._ask(lambda: self._of_group(group).committed(places, REQUEST_SECONDS))
        return [at for at in _told(found, group) if at.offset >= 0]

    def _of_group(self, group: str) -> GroupOffsets:
        if group not in self._groups:
            self._groups[group] = GroupOffsets(self.settings, group)
        return self._groups[group]

    def commit(self, group: str, topic: str, offsets: Mapping[int, int], note: str = "") -> None:
        """Set offsets of a group that has no member on these partitions; `note` lies beside each."""
        if not offsets:
            return
        name = self.settings.topic_name(topic)
        places = [TopicPartition(name, partition, offset, metadata=note) for partition, offset in offsets.items()]
        asked = [ConsumerGroupTopicPartitions(self.settings.group_name(group), places)]

        def alter() -> list[TopicPartition]:
            (future,) = self._client.alter_consumer_group_offsets(asked, request_timeout=REQUEST_SECONDS).values()
            places = list(future.result().topic_partitions)
            for place in places:
                if place.error is not None and place.error.code() in SETTLING:
                    raise KafkaException(place.error)
            return places

        _told(self._ask(alter), group)  # an error: a member is there, or was killed just now

    def delete_up_to(self, offsets: Mapping[Place, int]) -> None:
        """Delete the records before each offset: all its readers have finished them."""
        asked = [
            TopicPartition(self.settings.topic_name(topic), partition, offset)
            for (topic, partition), offset in offsets.items()
        ]
        if asked:
            self._ask(lambda: _all(self._client.delete_records(asked, request_timeout=REQUEST_SECONDS)))

    def create(self, new: Iterable[tuple[str, int, Mapping[str, str]]]) -> list[str]:
        """Create topics (name, partitions, properties); returns the names that did not exist."""
        asked = [
            NewTopic(self.settings.topic_name(name), num_partitions=count, replication_factor=-1, config=dict(config))
            for name, count, config in new
        ]
        if not asked:
            return []
        made = []
        for name, future in self._client.create_topics(asked, request_timeout=PATIENCE_SECONDS).items():
            try:
                future.result()
                made.append(self._bare(name))
            except KafkaException as exc:
                if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise UserError(f"topic {name} could not be created: {exc.args[0].str()}") from exc
        return made

    def _bare(self, name: str) -> str:
        return name.removeprefix(f"{self.settings.prefix}.") if self.settings.prefix else name


def _unless(code: int, future: Future[T]) -> T | None:
    """The result, or none where the broker answers with `code`."""
    try:
        return future.result()
    except KafkaException as exc:
        if exc.args[0].code() == code:
            return None
        raise


def _told(places: Iterable[TopicPartition], group: str) -> list[TopicPartition]:
    """The places; raises UserError for the first that the broker could not tell of."""
    told = list(places)
    for place in told:
        if place.error is not None:
            raise UserError(f"offset of {group} on {place.topic}, partition {place.partition}: {place.error.str()}")
    return told


def _all(futures: Mapping[Any, Future[Any]]) -> None:
    for future in futures.values():
        future.result()


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
    if made:
        admin = _client_that_knows(settings, counts)
    for topic in wanted.values():
        _begin_groups(admin, topic, counts[topic.name])
    return made


def _client_that_knows(settings: Settings, topics: Iterable[str]) -> Admin:
    """A client that has heard of topics with all their leaders.

    One that asked while they did not exist yet, or no more, believes that for 30 s, whatever it is told by then.
    """
    due = time.monotonic() + PATIENCE_SECONDS
    while True:
        admin = Admin(settings)
        if admin.led(topics) or time.monotonic() > due:
            return admin
        time.sleep(LEADERS_SECONDS)


def _dead_letter_configuration(settings: Settings) -> dict[str, str]:
    keep = "-1" if settings.small_topics else str(DLQ_RETENTION_DAYS * DAY_MS)
    return {"cleanup.policy": "delete", "retention.ms": keep, "max.message.bytes": str(DLQ_MAX_MESSAGE_BYTES)}


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
