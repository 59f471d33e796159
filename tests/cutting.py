"""A sharder's handler over a store in memory, without a broker."""

from collections.abc import Iterator
from pathlib import Path

from entityflow.records import Record
from entityflow.stage import Received
from services.sharder.cutting import Cutting, Surroundings
from services.sharder.open_shard import Limits
from services.sharder.spool import Room
from tests.filtered_pairs import received
from tests.memory_objects import MemoryObjects


def surroundings(folder: Path, samples: int = 3, size: int = 1 << 30) -> Surroundings:
    limits = Limits(samples=samples, bytes=size)
    return Surroundings(
        objects=MemoryObjects(),
        folder=folder,
        limits=limits,
        max_age_seconds=60.0,
        committed=lambda _: 0,
        clock=lambda: 0.0,
        log_end=lambda _: 0,
        room=Room(1 << 30),
        read_again=never_again,
    )


def never_again(partition: int, first: int, last: int) -> Iterator[Received[Record]]:
    raise AssertionError("there is room")


def cut_log(
    around: Surroundings, log: list[Record], partition: int = 0, first: int = 0, uuid: str = "uuid"
) -> list[Record | None]:
    """One sharder reads the whole log, which begins at an offset, in one go; what it sends."""
    handler = Cutting(partition, uuid, around)
    handler.start()
    done = handler.step([received(record, first + at, partition) for at, record in enumerate(log)])
    handler.close()
    return [send.record for send in done.sends]
