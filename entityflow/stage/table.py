"""Reading without a group: a compacted topic as a table that is followed, and a topic once to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as RawMessage

from entityflow.admin import Admin, Ask, require_topics
from entityflow.codec import decode
from entityflow.errors import CodecError, LossDetected, UserError
from entityflow.kafka import OnFatal, reader
from entityflow.records import Record
from entityflow.settings import Settings
from entityflow.stage.messages import Message
from entityflow.stage.raw import message_of

Apply = Callable[[str, Record | None, Message], None]

POLL_SECONDS = 0.1
CALL_SECONDS = 30.0
BATCH = 1000


class Table:
    """Follows partitions of a topic and hands every record to `apply(key, record or None, message)`, in the loop.

    follows: the topic whose assigned partitions are matched number by number; none = all partitions.
    start: `beginning` reads what there is first, `end` only what comes after the partition was added.
    """

    def __init__(self, topic: str, apply: Apply, follows: str | None, start: str) -> None:
        if start not in ("beginning", "end"):
            raise ValueError(f"start={start!r}: beginning or end")
        self.topic, self.follows = topic, follows
        self._apply, self._start = apply, start
        self.on_added: Callable[[list[int]], None] | None = None  # before the first record of these partitions
        self._ready: dict[int, asyncio.Event] = {}
        self._task: asyncio.Task[None] | None = None

    async def open(self, settings: Settings, on_fatal: OnFatal) -> None:
        """Begin to follow; without `follows` this returns when all partitions are read to their end."""
        self._settings, self._on_fatal = settings, on_fatal
        self._name = settings.topic_name(self.topic)
        self._uuid = (await asyncio.to_thread(require_topics, settings, [self.topic]))[self.topic]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"table-{self.topic}")
        self._consumer: Consumer = reader(settings)
        self._task = asyncio.create_task(self._follow(), name=f"table-{self.topic}")
        if self.follows is None:
            count = (await asyncio.to_thread(Admin(settings).partitions, [self.topic]))[self.topic]
            await self.add(range(count))

    async def add(self, partitions: Iterable[int]) -> None:
        """Follow these too; returns when they are read to what was their end at the call."""
        new = [partition for partition in partitions if partition not in self._ready]
        for partition in new:
            self._ready[partition] = asyncio.Event()
        if new and self.on_added:
            self.on_added(new)
        if new:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._assign, new)
        for partition in new:
            if ready := self._ready.get(partition):
                await ready.wait()

    def _assign(self, partitions: list[int]) -> None:
        places, ask = [], Ask(self._settings.kafka_bootstrap)
        for partition in partitions:
            watermarks = partial(self._consumer.get_watermark_offsets, TopicPartition(self._name, partition))
            low, high = ask(partial(watermarks, timeout=CALL_SECONDS))
            places.append(TopicPartition(self._name, partition, high if self._start == "end" else low))
        self._consumer.incremental_assign(places)

    async def remove(self, partitions: Iterable[int]) -> None:
        """Stop following these."""
        gone = [partition for partition in partitions if self._ready.pop(partition, None)]
        places = [TopicPartition(self._name, partition) for partition in gone]
        if places:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.incremental_unassign, places)

    async def close(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                raws = await loop.run_in_executor(self._thread, self._consumer.consume, BATCH, POLL_SECONDS)
                for raw in raws:
                    self._one(raw)
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            self._on_fatal(exc)

    def _one(self, raw: RawMessage) -> None:
        error = raw.error()
        if error is None:
            message = message_of(raw, self.topic, self._uuid)
            if message.partition in self._ready:
                self._apply((message.key or b"").decode("utf-8", "replace"), _record(message), message)
        elif error.code() == KafkaError._PARTITION_EOF:
            if ready := self._ready.get(raw.partition() or 0):
                ready.set()
        else:
            _raise_if_final(error, self._name)


def read_topic(
    settings: Settings, topic: str, starts: Mapping[int, int] | None = None
) -> Iterator[tuple[Message, Record | None]]:
    """Every record from `starts` (partition -> offset; none = all partitions from their beginning) to today's end.

    Undecodable messages come with record None. Raises LossDetected where a start is gone, UserError without the topic.
    """
    return ((message, _record(message)) for message in read_messages(settings, topic, starts))


def read_messages(settings: Settings, topic: str, starts: Mapping[int, int] | None = None) -> Iterator[Message]:
    """The same as they lie there, not decoded."""
    uuid = require_topics(settings, [topic])[topic]
    admin = Admin(settings)
    counts = admin.partitions([topic])
    places = [(topic, partition) for partition in (starts or range(counts[topic]))]
    low, high = admin.starts(places), admin.ends(places)
    begin = {place: (starts or {}).get(place[1], low[place]) for place in places}
    for place, offset in begin.items():
        if not low[place] <= offset <= high[place]:
            raise LossDetected(
                f"offset {offset} of {topic} partition {place[1]}: the topic holds {low[place]} to {high[place]}"
            )
    yield from _to_end(
        settings, topic, uuid, {p: offset for (_, p), offset in begin.items() if offset < high[(topic, p)]}
    )


def _to_end(settings: Settings, topic: str, uuid: str, starts: Mapping[int, int]) -> Iterator[Message]:
    name = settings.topic_name(topic)
    open_partitions = set(starts)
    if not open_partitions:
        return
    consumer = reader(settings)
    try:
        consumer.assign([TopicPartition(name, partition, offset) for partition, offset in starts.items()])
        while open_partitions:
            for raw in consumer.consume(BATCH, 1.0):
                error = raw.error()
                if error is None:
                    yield message_of(raw, topic, uuid)
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(raw.partition() or 0)
                else:
                    _raise_if_final(error, name)
    finally:
        consumer.close()


def _raise_if_final(error: KafkaError, name: str) -> None:
    if error.fatal() or error.code() in (
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
    ):
        raise UserError(f"reading {name}: {error.str()}")
    structlog.get_logger().warning("reader_error", topic=name, error=error.str())


def _record(message: Message) -> Record | None:
    if message.value is None:
        return None
    try:
        return decode(message.value)
    except CodecError as exc:
        structlog.get_logger().error(
            "undecodable_record",
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            error=str(exc),
        )
        return None
