"""A stage in which processes have died: records go one at a time, and not for ever."""

import asyncio
import itertools
from pathlib import Path

from entityflow.codec import encode
from entityflow.records import Entity, Record
from entityflow.settings import Settings
from entityflow.stage import Batch, Received, Send, Shell
from entityflow.stage.broker import Reading
from entityflow.stage.marks import Mark, read_mark
from tests.memory_broker import MemoryBroker, MemoryConsumer

RECORDS = 6


def line(
    folder: Path, mark: Mark, kind: type[MemoryBroker] = MemoryBroker, **more: object
) -> tuple[Shell, MemoryBroker]:
    """Entities wait in one partition; `mark` lies beside the offset."""
    settings = Settings(state_dir=folder, metrics_port=0, small_topics=True, **more)  # type: ignore[arg-type]
    broker = kind(settings, partitions=1)
    for number in range(RECORDS):
        entity = Entity(id=f"Q{number}", label="lion", lang="en")
        broker.log("entity")[0].append((entity.id.encode(), encode(entity), {}, 0))
    broker.notes["query_builder", "entity", 0] = mark.text()
    return Shell("query_builder", settings, broker), broker


def died(deaths: int) -> Mark:
    return Mark("uuid-of-entity", running=True, deaths=deaths)


def test_after_two_deaths_records_are_in_work_one_at_a_time_in_their_order(tmp_path: Path) -> None:
    shell, broker = line(tmp_path, died(deaths=1))
    in_work: list[str] = []
    seen: list[tuple[str, int]] = []

    async def step(received: Received[Entity]) -> list[Send]:
        in_work.append(received.record.id)
        await asyncio.sleep(0)
        seen.append((received.record.id, len(in_work)))
        in_work.remove(received.record.id)
        if len(seen) == RECORDS:
            shell.stop()
        return []

    shell.map("entity", step, concurrency=50)

    assert shell.run() == 0
    assert seen == [(f"Q{number}", 1) for number in range(RECORDS)]
    assert broker.commits["query_builder", "entity"] == {0: RECORDS}


def test_a_record_that_takes_long_does_not_hold_the_others_up_for_ever(tmp_path: Path) -> None:
    shell, broker = line(tmp_path, died(deaths=1), alone_seconds=0.05)
    begun = itertools.count(1)
    last = asyncio.Event()

    async def step(received: Received[Entity]) -> list[Send]:
        if next(begun) == RECORDS:
            last.set()
        await last.wait()
        shell.stop()
        return []

    shell.map("entity", step, concurrency=50)

    assert shell.run() == 0
    assert broker.commits["query_builder", "entity"] == {0: RECORDS}


def test_what_died_alone_is_condemned_before_it_is_decoded(tmp_path: Path) -> None:
    mark = Mark("uuid-of-entity", running=True, deaths=2, alone=2)
    shell, broker = line(tmp_path, mark)
    seen: list[str] = []

    async def step(received: Received[Entity]) -> list[Send]:
        seen.append(received.record.id)
        if len(seen) == RECORDS - 1:
            shell.stop()
        return []

    shell.map("entity", step, concurrency=50)

    assert shell.run() == 0
    assert seen == ["Q0", "Q1", "Q3", "Q4", "Q5"]
    (letters,) = [log for log in broker.logs["entity-dlq"] if log]
    key, value, headers, _ = letters[0]
    assert (key, value) == broker.log("entity")[0][2][:2]
    assert headers["dlq-reason"] == b"kills-process"


class Holding:
    """A handler that works on all and commits nothing yet, as one with an open shard does."""

    def __init__(self, shell: Shell) -> None:
        self._shell, self.seen = shell, list[int]()

    def start(self) -> int | None:
        return None

    def step(self, batch: list[Received[Record]]) -> Batch:
        self.seen += [received.message.offset for received in batch]
        if len(self.seen) == RECORDS:
            self._shell.stop()
        return Batch(finished=0)

    def tick(self) -> Batch | None:
        return None

    def close(self) -> None:
        """Holds nothing."""


def test_what_went_well_alone_is_not_suspected_when_a_later_record_dies_and_the_offset_did_not_move(
    tmp_path: Path,
) -> None:
    shell, broker = line(tmp_path, died(deaths=0))
    handler = Holding(shell)
    shell.batch("entity", lambda partition, uuid: handler, max_records=10)

    assert shell.run() == 0
    assert handler.seen == list(range(RECORDS))
    mark = read_mark(broker.notes["query_builder", "entity", 0])
    assert mark is not None
    assert (mark.running, mark.deaths, mark.alone) == (True, 1, None)


class Rebalanced(MemoryBroker):
    """The partition goes while its records are held back, and comes again from the committed offset."""

    def consumer(self, reading: Reading) -> MemoryConsumer:
        self.member, self.reading = super().consumer(reading), reading
        return self.member

    async def rebalance(self) -> None:
        await self.reading.on_revoked([0], True)
        self.notes["query_builder", "entity", 0] = self.reading.suspects.close(0, 0)
        await self.member.join()


def test_records_held_back_are_dropped_with_their_partition(tmp_path: Path) -> None:
    shell, broker = line(tmp_path, died(deaths=1), Rebalanced)
    assert isinstance(broker, Rebalanced)
    seen: list[str] = []
    rebalances: list[asyncio.Task[None]] = []

    async def step(received: Received[Entity]) -> list[Send]:
        if not rebalances:
            rebalances.append(asyncio.create_task(broker.rebalance()))
            await asyncio.Event().wait()
        seen.append(received.record.id)
        if len(seen) == RECORDS:
            shell.stop()
        return []

    shell.map("entity", step, concurrency=50)

    assert shell.run() == 0
    assert seen == [f"Q{number}" for number in range(RECORDS)]
