"""The consumer of one stage: joins a group, checks that nothing it must read is gone, commits finished prefixes.

Every call of the client happens in one thread; callbacks of a rebalance run there too and wait for the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as RawMessage

from entityflow.admin import Ask
from entityflow.errors import LossDetected, UserError
from entityflow.kafka import client_properties, consumer_properties
from entityflow.metrics import ASSIGNED, LOSSES, REBALANCES, SKIPPED
from entityflow.settings import Settings
from entityflow.stage.broker import Reading
from entityflow.stage.marks import Mark, read_mark
from entityflow.stage.messages import Message
from entityflow.stage.raw import message_of
from entityflow.stage.seen import ACCEPT

CALL_SECONDS = 30.0
NO_OFFSET = -1001

T = TypeVar("T")


class Partitions:
    """A member of a group on one topic; what it finds is told to its `Reading`, in the loop."""

    def __init__(self, settings: Settings, reading: Reading) -> None:
        self.settings, self._reading = settings, reading
        self.service, self.topic, self.group, self.topic_uuid = (
            reading.service,
            reading.topic,
            reading.group,
            reading.topic_uuid,
        )
        self.assigned: set[int] = set()
        self._name = settings.topic_name(reading.topic)
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"poll-{reading.topic}")
        properties = {**client_properties(settings, reading.on_fatal), **consumer_properties(settings, reading.group)}
        self._consumer = Consumer(properties)
        self._ask = Ask(settings.kafka_bootstrap)
        self._committed: dict[int, int] = {}
        self._noted: dict[int, str] = {}  # what was last written beside the offset of a partition
        self._suspects = reading.suspects
        self._paused: set[int] = set()
        self._survived: dict[int, str] = {}  # notes on partitions that we lost and that bear no word of our leaving
        self._log = structlog.get_logger().bind(topic=self._name, group=settings.group_name(reading.group))

    async def join(self) -> None:
        await self._call(
            lambda: self._consumer.subscribe(
                [self._name], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
            )
        )

    async def take(self, count: int, seconds: float) -> list[Message]:
        """Up to `count` messages. Errors of the client that it does not mend itself are raised."""
        raws = await self._call(lambda: self._consume(count, seconds))
        return [
            message_of(raw, self.topic, self.topic_uuid) for raw in raws if raw.error() is None or self._checked(raw)
        ]

    def _consume(self, count: int, seconds: float) -> list[RawMessage]:
        """The client waits for all that it is asked for: so for one first, then for what has come with it."""
        raws = self._consumer.consume(1, seconds)
        return raws + self._consumer.consume(count - 1, 0) if raws and count > 1 else raws

    def _checked(self, raw: RawMessage) -> bool:
        error = raw.error()
        if error is None:
            return True
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise self._loss(raw.partition() or 0, f"offset {raw.offset()} is gone: {error.str()}")
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            raise UserError(f"topic {self._name} does not exist any more", hint="entityflow topics create")
        if (
            # a fatal error comes as a code here, without the flag: a member that another one of its name has fenced
            error.code()
            in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError._FATAL)
            or error.fatal()
        ):
            raise UserError(f"reading {self._name} as {self.group}: {error.str()}")
        self._log.warning("consumer_error", error=error.str())
        return False

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit next offsets by partition; those of partitions that went away meanwhile are left out."""
        new = {partition: offset for partition, offset in offsets.items() if self._committed.get(partition) != offset}
        if new:
            await self._call(lambda: self._commit(new))

    def _commit(self, offsets: Mapping[int, int]) -> None:
        self._write(
            {
                partition: (offset, self._suspects.note(partition, offset, moved=True))
                for partition, offset in offsets.items()
                if partition in self.assigned and self._committed.get(partition, -1) != offset
            }
        )

    async def note(self, partition: int) -> None:
        """Write what the suspects say of a partition beside its offset, which stays."""
        await self._call(lambda: self._note([partition]))

    def _note(self, partitions: list[int]) -> None:
        found = {partition: self._committed[partition] for partition in partitions if partition in self._committed}
        self._write({p: (offset, self._suspects.note(p, offset, moved=False)) for p, offset in found.items()})

    def _close(self, finished: Mapping[int, int], partitions: list[int]) -> None:
        """Commit what has finished, and that nobody runs here any more."""
        ends = {p: finished.get(p, self._committed.get(p)) for p in partitions if p in self.assigned}
        self._write({p: (end, self._suspects.close(p, end)) for p, end in ends.items() if end is not None})

    def _write(self, notes: Mapping[int, tuple[int, str]]) -> None:
        places = [
            TopicPartition(self._name, partition, offset, metadata=note)
            for partition, (offset, note) in notes.items()
            if (offset, note) != (self._committed.get(partition), self._noted.get(partition))
        ]
        if not places:
            return
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as exc:
            # not fatal: the same or a longer prefix is committed at the next turn, or done again by the next owner
            self._log.warning("commit_failed", error=exc.args[0].str())
            return
        self._committed.update({place.partition: place.offset for place in places})
        self._noted.update({place.partition: place.metadata or "" for place in places})

    async def pause(self) -> None:
        await self._call(self._pause_all)

    def _pause_all(self) -> None:
        todo = self.assigned - self._paused
        self._consumer.pause([TopicPartition(self._name, partition) for partition in todo])
        self._paused |= todo

    async def resume(self) -> None:
        if self._paused:
            await self._call(self._resume_all)

    def _resume_all(self) -> None:
        self._consumer.resume([TopicPartition(self._name, partition) for partition in self._paused & self.assigned])
        self._paused.clear()

    async def leave(self) -> None:
        """Close the consumer: partitions are revoked, their finished prefixes committed, the group left at once."""
        await self._call(self._consumer.close)
        self._thread.shutdown()

    async def _call(self, ask: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, ask)

    # --- callbacks, in the client's thread ---

    def _assign(self, _consumer: Consumer, places: list[TopicPartition]) -> None:
        try:
            partitions = sorted(place.partition for place in places)
            begin = self._first_offsets(partitions)
            found = [TopicPartition(self._name, partition, offset) for partition, offset in begin.items()]
            self._consumer.incremental_assign(found)
            self._consumer.resume(found)  # the client remembers that one was paused when it went
            self.assigned |= set(partitions)
            self._note(partitions)
            self._count("assigned", partitions)
            self._in_loop(self._reading.on_assigned(partitions))
        except Exception as exc:
            self._reading.on_fatal(exc)

    def _first_offsets(self, partitions: list[int]) -> dict[int, int]:
        """Where to begin, after checking that it is still there; raises LossDetected otherwise."""
        if not partitions:
            return {}
        places = [TopicPartition(self._name, partition) for partition in partitions]
        committed = self._ask(lambda: self._consumer.committed(places, timeout=CALL_SECONDS))
        begin = {}
        for place in committed:
            if place.error:
                raise UserError(f"offsets of {self.group} on {self._name}: {place.error.str()}")
            own = self._in_loop(self._reading.start(place.partition))
            mark = read_mark(place.metadata)
            at = TopicPartition(self._name, place.partition)
            low, high = self._ask(partial(self._consumer.get_watermark_offsets, at, timeout=CALL_SECONDS))
            offset = self._existing(at.partition, place.offset if own is None else own, mark, low, high)
            self._known(at.partition, place.offset if low <= place.offset <= high else offset, mark, offset < high)
            begin[at.partition] = offset
        return begin

    def _known(self, partition: int, committed: int, mark: Mark | None, waiting: bool) -> None:
        self._committed[partition] = committed
        self._noted[partition] = "" if mark is None else mark.text()
        if mark is not None and mark.text() == self._survived.pop(partition, None):
            mark = replace(mark, running=False)  # our own of before we lost the partition: nobody died
        watch = self._suspects.open(partition, mark, committed, waiting)
        if watch.deaths or watch.guilty is not None:
            self._log.warning("died_here", partition=partition, deaths=watch.deaths, guilty=watch.guilty)

    def _existing(self, partition: int, offset: int, mark: Mark | None, low: int, high: int) -> int:
        of_another_topic = mark is not None and mark.topic_uuid != self.topic_uuid
        if low <= offset <= high and not of_another_topic:
            return offset
        what = "no committed offset" if offset == NO_OFFSET else f"next offset {offset}"
        what += " of a topic of this name that was deleted" if of_another_topic else ""
        if not self.settings.accept_loss:
            raise self._loss(partition, f"{what}, the topic holds {low} to {high}")
        skipped = 0 if of_another_topic else max(0, low - max(offset, 0))
        SKIPPED.labels(self.service, self.topic).inc(skipped)
        LOSSES.labels(self.service, self.topic).inc()
        self._log.error("loss_accepted", partition=partition, was=offset, now=low, skipped=skipped)
        return low

    def _loss(self, partition: int, what: str) -> LossDetected:
        group = self.settings.group_name(self.group)
        return LossDetected(
            f"records are gone: group {group}, partition {partition} of {self._name}: {what}",
            hint=ACCEPT,
        )

    def _revoke(self, _consumer: Consumer, places: list[TopicPartition]) -> None:
        self._let_go([place.partition for place in places], lost=False)

    def _lose(self, _consumer: Consumer, places: list[TopicPartition]) -> None:
        self._survived |= {place.partition: self._noted.get(place.partition, "") for place in places}
        self._let_go([place.partition for place in places], lost=True)

    def _let_go(self, partitions: list[int], lost: bool) -> None:
        try:
            finished = self._in_loop(self._reading.on_revoked(partitions, lost))
            if not lost:
                self._close(finished, partitions)
        except Exception as exc:
            self._reading.on_fatal(exc)
        self.assigned -= set(partitions)
        self._paused -= set(partitions)
        for partition in partitions:
            self._committed.pop(partition, None)
            self._suspects.forget(partition)
        self._count("lost" if lost else "revoked", partitions)

    def _count(self, what: str, partitions: list[int]) -> None:
        REBALANCES.labels(self.service, self.topic).inc()
        ASSIGNED.labels(self.service, self.topic).set(len(self.assigned))
        self._log.info(f"partitions_{what}", partitions=partitions, owned=len(self.assigned))

    def _in_loop(self, work: Awaitable[T]) -> T:
        return asyncio.run_coroutine_threadsafe(_coroutine(work), self._loop).result()


async def _coroutine(work: Awaitable[T]) -> T:
    return await work
