"""batch: the records of one partition in order, many at a time, through a handler of that partition."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from entityflow.errors import Rejected, Retryable
from entityflow.records import Record
from entityflow.stage.deadletter import Tries
from entityflow.stage.intake import Intake
from entityflow.stage.messages import Batch, BatchHandler, Message, Received

if TYPE_CHECKING:
    from entityflow.stage.shell import Shell

MakeHandler = Callable[[int, str], BatchHandler]
TICK_SECONDS = 1.0
HOLD_BATCHES = 2


class BatchIntake(Intake):
    """One worker a partition: it gives the handler what has come, waits for acknowledgements, notes what to commit."""

    def __init__(self, shell: Shell, topic: str, group: str, make: MakeHandler, max_records: int) -> None:
        super().__init__(shell, topic, group, max_records * HOLD_BATCHES)
        self._make = make
        self._batch_records = max_records
        self._handlers: dict[int, BatchHandler] = {}
        self._workers: dict[int, _Worker] = {}

    async def first_offset(self, partition: int) -> int | None:
        handler = await asyncio.to_thread(self._make, partition, self.topic_uuid)
        self._handlers[partition] = handler
        tries = 0
        while True:
            try:
                return await asyncio.to_thread(handler.start)
            except Retryable as error:
                if self.shell.stopping:
                    raise
                self.shell.beat()
                await self.back_off(error, tries)
                tries += 1

    def opened(self, partitions: list[int]) -> None:
        for partition in partitions:
            self._workers[partition] = _Worker(self, self._handlers[partition], self._batch_records)

    def accept(self, message: Message) -> None:
        self.hold(message)
        self._workers[message.partition].give(message)

    def finished(self) -> Mapping[int, int]:
        found = {partition: worker.finished for partition, worker in self._workers.items()}
        return {partition: offset for partition, offset in found.items() if offset is not None}

    async def drain(self, partitions: list[int], seconds: float) -> None:
        """Only the step under way: what waits behind it is given to the next owner."""
        workers = [self._workers[partition] for partition in partitions if partition in self._workers]
        await asyncio.gather(*(worker.stop(seconds) for worker in workers))

    async def drop(self, partitions: list[int]) -> None:
        for partition in partitions:
            if worker := self._workers.pop(partition, None):
                await worker.stop(0)
            if handler := self._handlers.pop(partition, None):
                await asyncio.to_thread(handler.close)


class _LeftUndone(Exception):
    """The partition goes while its work waits for another try: its next owner does it."""


class _Worker:
    """The queue and the task of one partition."""

    def __init__(self, intake: BatchIntake, handler: BatchHandler, max_records: int) -> None:
        self._intake, self._handler, self._max = intake, handler, max_records
        self._waiting: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._stop = asyncio.Event()
        self.finished: int | None = None
        self._task = asyncio.create_task(self._run())

    def give(self, message: Message) -> None:
        self._waiting.append(message)
        self._arrived.set()

    async def stop(self, seconds: float) -> None:
        """End after the step under way; it is waited for `seconds`, its commit is lost if it takes longer.

        A step in a thread cannot be interrupted: it is always waited for, so that no two run at once.
        """
        self._stop.set()
        self._arrived.set()
        if not self._task.done():
            await asyncio.wait([self._task], timeout=seconds or None)
        for message in self._waiting:
            self._intake.release(message)
        self._waiting.clear()

    async def _run(self) -> None:
        try:
            while not self._stop.is_set():
                await self._turn()
        except _LeftUndone:
            return
        except Exception as exc:
            self._intake.shell.fail(exc)

    async def _turn(self) -> None:
        if not self._waiting:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), TICK_SECONDS)
            except TimeoutError:
                await self._tick()
            return
        messages = [self._waiting.popleft() for _ in range(min(self._max, len(self._waiting)))]
        try:
            await self._work(messages)
        finally:
            for message in messages:
                self._intake.release(message)

    async def _work(self, messages: list[Message]) -> None:
        batch, rejected = await asyncio.to_thread(self._decode_all, messages)
        result = await self._retried(lambda: self._handler.step(batch)) if batch else Batch()
        await self._publish(result, {message.offset: message for message in messages}, rejected)
        self.finished = messages[-1].offset + 1 if result.finished is None else result.finished
        await self._tick()

    async def _tick(self) -> None:
        result = await self._retried(self._handler.tick)
        if result is not None:
            await self._publish(result, {}, {})
            if result.finished is not None:
                self.finished = result.finished

    async def _retried(self, call: Callable[[], Batch | None]) -> Batch:
        tries = 0
        while True:
            try:
                return await asyncio.to_thread(call) or Batch()
            except Retryable as error:
                await self._back_off(error, tries)
                if self._stop.is_set():
                    raise _LeftUndone from error
                tries += 1

    async def _back_off(self, error: Retryable, tries: int) -> None:
        """A partition that is to be given away does not wait."""
        waits = [asyncio.ensure_future(one) for one in (self._intake.back_off(error, tries), self._stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _publish(self, result: Batch, messages: Mapping[int, Message], rejected: Mapping[int, Rejected]) -> None:
        await self._intake.shell.send(result.sends)
        for offset, error in {**rejected, **result.rejected}.items():
            await self._intake.dead_letter(messages[offset], error, Tries())
        if messages:
            partition = next(iter(messages.values())).partition
            self._intake.went_well(partition, len(messages) - len(rejected) - len(result.rejected))

    def _decode_all(self, messages: list[Message]) -> tuple[list[Received[Record]], dict[int, Rejected]]:
        batch: list[Received[Record]] = []
        rejected: dict[int, Rejected] = {}
        for message in messages:
            try:
                record = self._intake.decoded(message)
            except Rejected as error:
                rejected[message.offset] = error
            else:
                if record is not None:
                    batch.append(Received(record, message))
        return batch, rejected
