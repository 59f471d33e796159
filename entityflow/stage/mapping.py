"""map: one record in, its results out, many records at a time; the finished prefix is committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from entityflow.errors import Rejected, Retryable
from entityflow.metrics import STEP_SECONDS
from entityflow.stage.deadletter import Tries
from entityflow.stage.intake import Intake, decoded
from entityflow.stage.messages import Message, Received, Send
from entityflow.stage.producing import CURRENT
from entityflow.stage.tracker import OffsetTracker

if TYPE_CHECKING:
    from entityflow.stage.shell import Shell

Step = Callable[[Received[Any]], Awaitable[Iterable[Send]]]


class MapIntake(Intake):
    """Runs `step` for up to `concurrency` records at once."""

    def __init__(self, shell: Shell, topic: str, group: str, step: Step, concurrency: int) -> None:
        super().__init__(shell, topic, group, concurrency)
        self._step = step
        self._seconds = STEP_SECONDS.labels(shell.service, topic)
        self._trackers: dict[int, OffsetTracker] = {}
        self._tasks: dict[int, set[asyncio.Task[None]]] = {}

    def opened(self, partitions: list[int]) -> None:
        for partition in partitions:
            self._trackers[partition] = OffsetTracker()
            self._tasks[partition] = set()

    def accept(self, message: Message) -> None:
        self._trackers[message.partition].take(message.offset)
        self.hold(message)
        task = asyncio.create_task(self._process(message))
        tasks = self._tasks[message.partition]
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _process(self, message: Message) -> None:
        CURRENT.set(message)
        tracker = self._trackers[message.partition]
        began = time.monotonic()
        try:
            await self._until_finished(message)
            tracker.finish(message.offset)
            self._seconds.observe(time.monotonic() - began)
        except Exception as exc:
            self.shell.fail(exc, message)
        finally:
            self.release(message)

    async def _until_finished(self, message: Message) -> None:
        tries = Tries()
        while True:
            try:
                record = decoded(message)
                if record is not None:
                    await self.shell.send(await self._step(Received(record, message)))
                return self.went_well(message.partition)
            except Rejected as error:
                return await self.dead_letter(message, error, tries)
            except Retryable as error:
                await self.back_off(error, tries.count - 1)
                tries.count += 1

    def finished(self) -> Mapping[int, int]:
        found = {partition: tracker.committable() for partition, tracker in self._trackers.items()}
        return {partition: offset for partition, offset in found.items() if offset is not None}

    async def drain(self, partitions: list[int], seconds: float) -> None:
        tasks = self._of(partitions)
        if tasks and not self.shell.failed:
            await asyncio.wait(tasks, timeout=seconds)

    async def drop(self, partitions: list[int]) -> None:
        tasks = self._of(partitions)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for partition in partitions:
            self._trackers.pop(partition, None)
            self._tasks.pop(partition, None)

    def _of(self, partitions: list[int]) -> set[asyncio.Task[None]]:
        return {task for partition in partitions for task in self._tasks.get(partition, ())}
