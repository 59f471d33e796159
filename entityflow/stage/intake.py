"""What both kinds of stage share: taking input within limits, committing finished prefixes, stopping."""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from entityflow.codec import decode
from entityflow.errors import CodecError, LossDetected, Rejected, Retryable
from entityflow.metrics import CONSUMED, DEAD_LETTERS, GUARDED, IN_FLIGHT_BYTES, IN_FLIGHT_RECORDS, RETRIES
from entityflow.records import Record
from entityflow.stage.broker import Reading
from entityflow.stage.deadletter import RejectionLimit, Tries, dead_letter_headers
from entityflow.stage.lookout import Lookout
from entityflow.stage.messages import Message
from entityflow.stage.seen import ACCEPT
from entityflow.stage.suspects import Suspects
from entityflow.topics import load_topics

if TYPE_CHECKING:
    from entityflow.stage.shell import Shell

TAKE_SECONDS = 0.1
ALONE_SECONDS = 0.002
SUSPICIOUS_COMMIT_SECONDS = 0.1
WAIT_BEFORE_PAUSE_SECONDS = 1.0
BACKOFF_SECONDS = (0.5, 30.0)


class Intake(ABC):
    """One stage's way from the broker to its work. Subclasses say what is done with what was taken."""

    def __init__(self, shell: Shell, topic: str, group: str, max_records: int) -> None:
        self.shell, self.topic, self.group, self.max_records = shell, topic, group, max_records
        self.settings = shell.settings
        self.log = structlog.get_logger().bind(topic=topic, group=group)
        self._limit = RejectionLimit()
        self._taken = self._records = self._bytes = 0
        self._room = asyncio.Event()
        self._held: deque[Message] = deque()
        self._alone: Message | None = None
        self._alone_ends = 0.0
        guard = shell.broker.guard(shell.service) if group == shell.service else None
        self._lookout = Lookout(guard, self._same_topic, self.settings.guard_seconds, self._told)

    async def run(self, topic_uuid: str) -> None:
        """Until the shell stops: take, work, commit."""
        self.topic_uuid = topic_uuid
        self.suspects = Suspects(topic_uuid, self.window)
        reading = Reading(
            self.shell.service,
            self.topic,
            self.group,
            topic_uuid,
            start=self.first_offset,
            on_assigned=self._assigned,
            on_revoked=self.let_go,
            on_fatal=self._failed,
            suspects=self.suspects,
        )
        self.partitions = self.shell.broker.consumer(reading)
        await self.partitions.join()
        committed_at = time.monotonic()
        while not self.shell.stopping:
            for message in await self._take():
                if self._held or self.suspects.careful(message.partition):
                    self._held.append(message)
                elif message.partition in self.partitions.assigned:
                    self.accept(message)
            if self._held or self._alone:
                await self._one_at_a_time()
            self._tell()
            if time.monotonic() - committed_at >= self._commit_seconds():
                await self.partitions.commit(self.finished())
                committed_at = time.monotonic()
            self.shell.beat()
            self.shell.sender.poll()
        await self.partitions.leave()

    def _commit_seconds(self) -> float:
        often = min(SUSPICIOUS_COMMIT_SECONDS, self.settings.commit_seconds)
        return often if self.suspects.suspicious else self.settings.commit_seconds

    async def _one_at_a_time(self) -> None:
        """Go on with what is held, as far as it need not wait for what is in work."""
        if self._alone is not None:
            in_time = time.monotonic() < self._alone_ends
            if self._records and in_time:
                return
            alone, self._alone = self._alone, None
            self.suspects.end_alone(alone)
            if not in_time:
                self.suspects.trust()
            await self.partitions.commit(self.finished())
            await self.partitions.note(alone.partition)  # a handler may finish it without moving the offset
        while self._held:
            message = self._held[0]
            careful = self.suspects.careful(message.partition)
            if careful and self._records:
                return
            self._held.popleft()
            if message.partition not in self.partitions.assigned:
                continue
            if careful:
                self._alone, self._alone_ends = message, time.monotonic() + self.settings.alone_seconds
                self.suspects.begin_alone(message)
                await self.partitions.note(message.partition)
            self.accept(message)
            if careful:
                return

    def _failed(self, error: Exception) -> None:
        """What a stop leaves to be tried again is no failure."""
        if not (self.shell.stopping and isinstance(error, Retryable)):
            self.shell.fail(error)

    async def _take(self) -> list[Message]:
        await self._lookout.look()
        alone = bool(self._held or self._alone)
        wait = self._lookout.wait is not None or alone
        if not wait and self._full():
            self._room.clear()
            try:  # room usually comes within moments; a pause throws the client's prefetch away
                await asyncio.wait_for(self._room.wait(), WAIT_BEFORE_PAUSE_SECONDS)
            except TimeoutError:
                wait = True
        if wait:
            if self.partitions.assigned:
                await self.partitions.pause()
        else:
            await self.partitions.resume()
        return await self.partitions.take(self._space(), ALONE_SECONDS if alone else TAKE_SECONDS)

    def _same_topic(self) -> None:
        now = self.shell.broker.uuids([self.topic])[self.topic]
        if now != self.topic_uuid:
            raise LossDetected(
                f"{self.settings.topic_name(self.topic)} was made anew under group"
                f" {self.settings.group_name(self.group)}: uuid {self.topic_uuid} before, {now} now;"
                f" finished and not yet committed: {dict(self.finished())}",
                hint=ACCEPT,
            )

    def _told(self, waits_for: str | None) -> None:
        self.log.warning("guard", waits_for=waits_for)
        GUARDED.labels(self.shell.service, self.topic).set(waits_for is not None)

    def _full(self) -> bool:
        return self._records >= self.max_records or self._bytes >= self.settings.in_flight_bytes

    def _space(self) -> int:
        return max(1, min(1000, self.max_records - self._records))

    def hold(self, message: Message) -> None:
        """The message is in memory until `release`."""
        self._taken += 1
        self._records += 1
        self._bytes += message.size

    def release(self, message: Message) -> None:
        self._records -= 1
        self._bytes -= message.size
        if not self._full():
            self._room.set()

    def _tell(self) -> None:
        """Metrics once a turn, not once a record: looking one up by its labels costs as much as a small step."""
        service = self.shell.service
        CONSUMED.labels(service, self.topic).inc(self._taken)
        IN_FLIGHT_RECORDS.labels(service, self.topic).set(self._records)
        IN_FLIGHT_BYTES.labels(service, self.topic).set(self._bytes)
        self._taken = 0

    async def _assigned(self, partitions: list[int]) -> None:
        await asyncio.gather(*(t.add(partitions) for t in self.shell.tables if t.follows == self.topic))
        self.opened(partitions)
        self.shell.ready()

    async def let_go(self, partitions: list[int], lost: bool) -> Mapping[int, int]:
        """Drain within the budget (not when lost), then drop; returns what may be committed."""
        if not lost:
            await self.drain(partitions, self.settings.drain_seconds)
        finished = {partition: at for partition, at in self.finished().items() if partition in partitions}
        await self.drop(partitions)
        self._held = deque(message for message in self._held if message.partition not in partitions)
        await asyncio.gather(*(t.remove(partitions) for t in self.shell.tables if t.follows == self.topic))
        return finished

    def decoded(self, message: Message) -> Record | None:
        """The record of a message, none for the deletion of a key. Raises Rejected where it is none or condemned."""
        self.suspects.check(message)
        return decoded(message)

    async def dead_letter(self, message: Message, error: Rejected, tries: Tries) -> None:
        """Write the original bytes to the dead letters and wait for the acknowledgement."""
        self._limit.rejected(message, error)
        if not load_topics()[self.topic].dead_letters:
            raise RuntimeError(f"{self.topic} has no dead-letter topic") from error
        group = self.settings.group_name(self.group)
        headers = dead_letter_headers(message, group, self.shell.sender.name, self.topic, error, tries)
        await self.shell.sender.produce([(load_topics()[self.topic].dlq, message.key, message.value, headers, None)])
        DEAD_LETTERS.labels(self.shell.service, self.topic, error.reason).inc()
        self.log.error(
            "dead_letter", partition=message.partition, offset=message.offset, reason=error.reason, error=str(error)
        )

    def went_well(self, partition: int, count: int = 1) -> None:
        self._limit.finished(self.topic, partition, count)

    async def back_off(self, error: Retryable, tries: int) -> None:
        """Sleep before the next try: exponential with full jitter, within BACKOFF_SECONDS."""
        first, most = BACKOFF_SECONDS
        seconds = min(most, first * 2 ** min(tries, 10)) * random.uniform(0.5, 1.0)
        RETRIES.labels(self.shell.service, self.topic, error.reason).inc()
        self.log.warning("retry", reason=error.reason, error=str(error), seconds=round(seconds, 2))
        await asyncio.sleep(seconds)

    # --- what a kind of stage adds ---

    async def first_offset(self, partition: int) -> int | None:
        """Where to begin; none = at the committed offset."""
        return None

    @property
    def window(self) -> int:
        """How many records can be in work at once; none is suspected of a stage that only waits."""
        return self.max_records if self.group == self.shell.service else 0

    @abstractmethod
    def opened(self, partitions: list[int]) -> None:
        """These are ours now; their first message comes after this."""

    @abstractmethod
    def accept(self, message: Message) -> None:
        """Begin to work on a message."""

    @abstractmethod
    def finished(self) -> Mapping[int, int]:
        """The next offset to commit of each partition that has one."""

    @abstractmethod
    async def drain(self, partitions: list[int], seconds: float) -> None:
        """Let the work under way finish, for at most `seconds`."""

    @abstractmethod
    async def drop(self, partitions: list[int]) -> None:
        """Forget what has not finished: the next owner does it."""


def decoded(message: Message) -> Record | None:
    """The record of a message; none for the deletion of a key. Raises CodecError, which is a Rejected."""
    if message.value is None:
        return None
    record = decode(message.value)
    if type(record).__name__ not in load_topics()[message.topic].records:
        raise CodecError(f"a {type(record).__name__} does not belong into {message.topic}")
    return record
