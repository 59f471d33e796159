"""The range of a partition that is open: its samples so far, on disk, and when it is to be cut."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from entityflow.ids import content_id
from entityflow.records import FilteredPair, Seal, ShardInput
from entityflow.shards import shard_id
from services.sharder.files import Finished, ShardFiles
from services.sharder.samples import members
from services.sharder.spool import Room
from services.sharder.tars import packed

ASKED = "asked"


@dataclass(frozen=True)
class Limits:
    """A shard ends with the sample that reaches one of them."""

    samples: int
    bytes: int

    @property
    def digest(self) -> str:
        return content_id("limits", str(self.samples), str(self.bytes))


class OpenShard:
    """Begins at an offset and takes every record from there; what it holds is a function of them.

    Where the room on disk is over, it keeps ids and counts only: `has_files` says whether its range must be read again.
    """

    def __init__(self, folder: Path, partition: int, start: int, limits: Limits, room: Room | None) -> None:
        self.start, self.end, self.first_ms = start, start - 1, 0
        self.ids: set[str] = set()
        self.has_files = True
        self._partition, self._limits, self._room = partition, limits, room
        self._files = ShardFiles(folder, shard_id(partition, start))
        self._finished: Finished | None = None
        self._bytes = self._taken = 0

    @property
    def is_empty(self) -> bool:
        """No record of any kind has come."""
        return self.end < self.start

    def saw(self, offset: int, timestamp_ms: int) -> None:
        if self.is_empty:
            self.first_ms = timestamp_ms
        self.end = offset

    def add(self, pair: FilteredPair) -> None:
        """All of it or, where OSError is raised, nothing."""
        if self.has_files:
            self._write(pair, packed(members(pair)))
        self.ids.add(pair.image_id)
        self._bytes += len(pair.payload)

    def _write(self, pair: FilteredPair, piece: bytes) -> None:
        if self._room is not None and not self._room.take(len(piece)):
            self._leave_files()
            return
        self._taken += len(piece)
        try:
            self._files.add(pair, piece)
        except OSError:
            self._taken -= len(piece)
            if self._room is not None:
                self._room.give_back(len(piece))
            raise

    def _leave_files(self) -> None:
        self.has_files = False
        self._files.abandon()
        self._give_back_room()

    def _give_back_room(self) -> None:
        if self._room is not None:
            self._room.give_back(self._taken)
        self._taken = 0

    @property
    def is_full(self) -> bool:
        return len(self.ids) >= self._limits.samples or self._bytes >= self._limits.bytes

    def is_closed_by(self, seal: Seal) -> bool:
        """One that was asked for closes whatever is open; one by age only the range that it was written for."""
        return seal.cause == ASKED or seal.start == self.start

    def finish(self, topic_uuid: str) -> Finished:
        """Its files, whole. After OSError to be called again."""
        if self._finished is None:
            read = ShardInput(topic_uuid=topic_uuid, partition=self._partition, start=self.start, end=self.end)
            self._finished = self._files.finish(read, config=self._limits.digest)
        return self._finished

    def discard(self) -> None:
        """The local files; what is committed lies in the bucket, the rest is in the log."""
        self._files.abandon()
        self._give_back_room()
