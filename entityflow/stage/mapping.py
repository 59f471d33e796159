"""map: one record in, its results out, many records at a time; the finished prefix is committed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from entityflow.errors import Rejected, Retryable
from entityflow.metrics import STEP_SECONDS
from entityflow.stage.deadletter import Tries
from entityflow.stage.intake import Intake
from entityflow.stage.messages import Message, Received, Send
from entityflow.stage.producing import CURRENT
from entityflow.stage.tracker import OffsetTracker

if TYPE_CHECKING:
    from entityflow.stage.shell import Shell

Step = Callable[[Received[Any]], Awaitable[Iterable[Send]]]
AHEAD_RECORDS = 500  # taken beyond those that are worked on: waiting for a worker or for acknowledgements
SLICE_SECONDS = 0.02  # a worker whose steps never wait lets others run after this


class MapIntake(Intake):
    """Runs `step` for up to `concurrency` records at once.

    A worker goes from record to record and does not wait for acknowledgements: a record is finished when they have
    come. So a step that waits for nothing costs no task of its own; while a step waits, another worker goes on.
    """

    def __init__(self, shell: Shell, topic: str, group: str, step: Step, concurrency: int) -> None:
        super().__init__(shell, topic, group, concurrency + AHEAD_RECORDS)
        self._step, self._concurrency = step, concurrency
        self.seconds = STEP_SECONDS.labels(shell.service, topic)
        self._trackers: dict[int, OffsetTracker] = {}
        self._waiting: deque[Message] = deque()
        self._workers: dict[asyncio.Task[None], Message | None] = {}
        self._starting = False
        self._under_way: Counter[int] = Counter()
        self._idle = asyncio.Event()

    @property
    def window(self) -> int:
        return min(self._concurrency, super().window)

    def opened(self, partitions: list[int]) -> None:
        for partition in partitions:
            self._trackers[partition] = OffsetTracker()

    def accept(self, message: Message) -> None:
        self._trackers[message.partition].take(message.offset)
        self.hold(message)
        self._waiting.append(message)
        self._call_for_a_worker()

    def _call_for_a_worker(self) -> None:
        """One more is started when the loop comes to it: when those that run have begun to wait."""
        if not self._starting and self._waiting and len(self._workers) < self._concurrency:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start_worker)

    def _start_worker(self) -> None:
        self._starting = False
        if self._waiting:
            worker = asyncio.create_task(self._work())
            self._workers[worker] = None
            worker.add_done_callback(self._workers.pop)

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        slice_ends = time.monotonic() + SLICE_SECONDS
        while self._waiting:
            message = self._workers[me] = self._waiting.popleft()
            self._call_for_a_worker()
            CURRENT.set(message)
            if not await self._process(message):
                return
            self._workers[me] = None
            if time.monotonic() > slice_ends:
                await asyncio.sleep(0)
                slice_ends = time.monotonic() + SLICE_SECONDS

    async def _process(self, message: Message) -> bool:
        """Until its results are handed over; False where the process must end."""
        ending = _Ending(self, message)
        self._under_way[message.partition] += 1
        tries: Tries | None = None
        try:
            while True:
                try:
                    record = self.decoded(message)
                    sends = () if record is None else await self._step(Received(record, message))
                    await self.shell.sender.hand_over(sends, ending)
                    self.went_well(message.partition)
                    return True
                except Rejected as error:
                    await self.dead_letter(message, error, tries or Tries())
                    ending.expect(0)
                    return True
                except Retryable as error:
                    tries = tries or Tries()
                    await self.back_off(error, tries.count - 1)
                    tries.count += 1
        except asyncio.CancelledError:
            ending.abandon()
            raise
        except Exception as exc:
            self.shell.fail(exc, message)
            return False

    def end(self, message: Message, finished: bool) -> None:
        """A record is finished when all that it led to is acknowledged, or it was abandoned for its next owner."""
        partition = message.partition
        if finished and partition in self._trackers:
            self._trackers[partition].finish(message.offset)
        self._under_way[partition] -= 1
        self.release(message)
        if not self._under_way[partition]:
            self._idle.set()

    def finished(self) -> Mapping[int, int]:
        found = {partition: tracker.committable() for partition, tracker in self._trackers.items()}
        return {partition: offset for partition, offset in found.items() if offset is not None}

    async def drain(self, partitions: list[int], seconds: float) -> None:
        """What no worker has begun is begun no more; the rest may finish."""
        self._forget_waiting(partitions)
        ends = time.monotonic() + seconds
        while any(self._under_way[partition] for partition in partitions) and not self.shell.failed:
            self._idle.clear()
            try:
                await asyncio.wait_for(self._idle.wait(), ends - time.monotonic())
            except TimeoutError:
                return

    async def drop(self, partitions: list[int]) -> None:
        self._forget_waiting(partitions)
        for partition in partitions:
            self._trackers.pop(partition, None)
        mine = [worker for worker, at in self._workers.items() if at is not None and at.partition in partitions]
        for worker in mine:
            worker.cancel()
        await asyncio.gather(*mine, return_exceptions=True)
        self._call_for_a_worker()

    def _forget_waiting(self, partitions: list[int]) -> None:
        waiting, self._waiting = self._waiting, deque()
        for message in waiting:
            if message.partition in partitions:
                self.release(message)
            else:
                self._waiting.append(message)


class _Ending:
    """Counts the acknowledgements that a record waits for."""

    __slots__ = ("_began", "_intake", "_left", "_message")

    def __init__(self, intake: MapIntake, message: Message) -> None:
        self._intake, self._message, self._left = intake, message, 0
        self._began = time.monotonic()

    def expect(self, count: int) -> None:
        self._left = count
        if count == 0:
            self._end()

    def one(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._end()

    def abandon(self) -> None:
        """Nothing more counts: another owner does this record again."""
        self._left = -1
        self._intake.end(self._message, finished=False)

    def _end(self) -> None:
        self._intake.seconds.observe(time.monotonic() - self._began)
        self._intake.end(self._message, finished=True)
