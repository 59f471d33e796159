"""One partition of `filtered-pair` cut into shards: a pure function of its log, committed by manifests."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

import structlog

from entityflow.errors import LossDetected
from entityflow.metrics import SHARD_CONFLICTS, SHARDER_READ_AGAIN
from entityflow.objects import Objects
from entityflow.records import FilteredPair, Record, Seal
from entityflow.shards import Manifest, decode_manifest, list_manifests, newest_manifest
from entityflow.stage import Batch, Message, Received, Send
from services.sharder.hidden import HiddenRecords
from services.sharder.known import KnownPictures
from services.sharder.open_shard import Limits, OpenShard
from services.sharder.spool import Room, new_folder, waiting_for_room, with_room_to_start
from services.sharder.tables import TableCache

PAIRS, SHARDS = "filtered-pair", "shard"
AGE = "age"

ReadAgain = Callable[[int, int, int], Iterator[Received[Record]]]


@dataclass(frozen=True)
class Surroundings:
    """What a handler needs besides its partition.

    committed: the offset that the group has committed on a partition: the events of all that ends before it are
    acknowledged. clock: seconds; it only decides when a seal is written, never where a shard is cut.
    log_end: the offset after the last record of a partition. read_again(partition, first, last): these records once
    more; `rereading` lets one handler do it at a time.
    """

    objects: Objects
    folder: Path
    limits: Limits
    max_age_seconds: float
    committed: Callable[[int], int]
    clock: Callable[[], float]
    log_end: Callable[[int], int]
    room: Room
    read_again: ReadAgain
    rereading: threading.Lock = field(default_factory=threading.Lock)


class Cutting:
    """The handler of a partition. It begins after its newest manifest, whatever the group's offset says."""

    def __init__(self, partition: int, topic_uuid: str, around: Surroundings) -> None:
        self._partition, self._uuid, self._around, self._objects = partition, topic_uuid, around, around.objects
        self._tables = TableCache(around.objects, around.folder / "tables")
        with with_room_to_start(around.folder):
            self._spool = new_folder(around.folder / "open")
        self._log = structlog.get_logger().bind(partition=partition)
        self._known = KnownPictures()
        self._told: list[Manifest] = []
        self._is_closed = False
        self._sealed_at = -1
        self._newest_ms = 0
        self._stepped = False
        self._hidden = HiddenRecords(around.max_age_seconds, around.clock, lambda: around.log_end(partition))
        self._open = self._opened(0)

    def start(self) -> int | None:
        """Reads what is committed: its end, the pictures that it has, and which events may not have been told."""
        self._objects.ensure_bucket()
        manifests = list(list_manifests(self._objects, self._partition))
        acknowledged = self._around.committed(self._partition)
        for manifest in manifests:
            self._check_topic(manifest)
            with with_room_to_start(self._around.folder):
                self._learn(manifest)
        self._told = [one for one in manifests if one.input.end >= acknowledged] or manifests[-1:]
        begin = manifests[-1].input.end + 1 if manifests else 0
        self._open.discard()
        self._open = self._opened(begin)
        return begin

    def _check_topic(self, manifest: Manifest) -> None:
        if manifest.input.topic_uuid != self._uuid:
            raise LossDetected(
                f"{manifest.key} was cut from another topic {PAIRS} than the one that is there now",
                hint="choose another ENTITYFLOW_PREFIX for a topic that was made anew",
            )

    def _learn(self, manifest: Manifest) -> None:
        if manifest.table is not None:
            self._known.update(self._tables.keys(manifest.table))

    def _opened(self, start: int) -> OpenShard:
        return OpenShard(self._spool, self._partition, start, self._around.limits, self._around.room)

    def step(self, batch: list[Received[Record]]) -> Batch:
        """What the batch closes. After Retryable the same batch comes again: what was taken is not taken twice."""
        self._stepped = True
        self._hidden.forget()
        with waiting_for_room(self._spool):
            self._commit()
            for received in batch:
                if received.message.offset > self._open.end:
                    self._take(received.record, received.message)
                    self._commit()
        return self._batch()

    def _take(self, record: Record, message: Message) -> None:
        """All of the record or, where OSError is raised, nothing."""
        shard = self._open
        closed = isinstance(record, Seal) and shard.is_closed_by(record)
        if self._is_new(record, shard):
            shard.add(record)
        shard.saw(message.offset, message.timestamp_ms)
        self._newest_ms = message.timestamp_ms
        self._is_closed = closed or shard.is_full

    def _is_new(self, record: Record, shard: OpenShard) -> TypeGuard[FilteredPair]:
        return (
            isinstance(record, FilteredPair) and record.image_id not in self._known and record.image_id not in shard.ids
        )

    def _commit(self) -> None:
        """Raises Retryable while the store is away, OSError while the disk is full; then it is to be called again."""
        if not self._is_closed:
            return
        manifest = self._published()
        self._told.append(manifest)
        self._open.discard()
        self._is_closed = False
        self._open = self._opened(manifest.input.end + 1)

    def _published(self) -> Manifest:
        if self._open.has_files:
            return self._publish(self._open)
        self._objects.ensure_bucket()  # a store that is away is found out before much is read in vain
        with self._around.rereading:
            whole = OpenShard(self._spool, self._partition, self._open.start, self._around.limits, room=None)
            try:
                self._fill(whole)
                return self._publish(whole)
            finally:
                whole.discard()

    def _fill(self, shard: OpenShard) -> None:
        """From the log once more: there was no room to keep what was read."""
        SHARDER_READ_AGAIN.inc()
        self._log.info("reads_again", first=self._open.start, last=self._open.end)
        for received in self._around.read_again(self._partition, self._open.start, self._open.end):
            if self._is_new(received.record, shard):
                shard.add(received.record)
            shard.saw(received.message.offset, received.message.timestamp_ms)
        shard.saw(self._open.end, self._open.first_ms)

    def _publish(self, shard: OpenShard) -> Manifest:
        """Files first, then the manifest, which nobody overwrites."""
        finished = shard.finish(self._uuid)
        for path, key in finished.files:
            self._objects.put(key, path)
        if not self._objects.put_if_absent(finished.manifest.key, finished.manifest.encode()):
            return self._adopt(finished.manifest)
        self._known.update(shard.ids)
        return finished.manifest

    def _adopt(self, ours: Manifest) -> Manifest:
        """Another sharder committed this range before us: the same bytes, or something is wrong with one of us."""
        theirs = decode_manifest(self._objects.get(ours.key))
        self._check_topic(theirs)
        if (theirs.input, theirs.objects) != (ours.input, ours.objects):
            SHARD_CONFLICTS.inc()
            self._log.error("shard_differs", manifest=ours.key, ours=ours.encode().decode())
        if theirs.input.end < ours.input.end:
            raise RuntimeError(f"{ours.key} ends at {theirs.input.end}, this process has read to {ours.input.end}")
        newest = newest_manifest(self._objects, theirs)
        self._learn(newest)
        return newest

    def tick(self) -> Batch | None:
        """Comes after each step too; one that follows another tick means that nothing has arrived."""
        with waiting_for_room(self._spool):
            self._commit()
        idle, self._stepped = not self._stepped, False
        return self._batch(idle)

    def _batch(self, idle: bool = False) -> Batch:
        sends = [Send(SHARDS, event) for manifest in self._told if (event := manifest.event())]
        self._told = []
        if self._is_old(idle):
            self._sealed_at = self._open.start
            seal = Seal(partition=self._partition, start=self._open.start, cause=AGE)
            sends.append(Send(PAIRS, seal, partition=self._partition))
        return Batch(sends=sends, finished=self._open.start)

    def _is_old(self, idle: bool) -> bool:
        """Whether the open range waits too long. A backlog is read first: its records are all old, and more follow."""
        if self._sealed_at == self._open.start:
            return False
        if self._open.is_empty:
            return idle and self._hidden.are_old(self._open.start)
        caught_up = idle or not self._has_passed(self._newest_ms)
        return caught_up and self._has_passed(self._open.first_ms)

    def _has_passed(self, timestamp_ms: int) -> bool:
        return self._around.clock() - timestamp_ms / 1000 >= self._around.max_age_seconds

    def close(self) -> None:
        """Local files go: whoever owns the partition next reads the open range again."""
        self._open.discard()
        shutil.rmtree(self._spool, ignore_errors=True)
