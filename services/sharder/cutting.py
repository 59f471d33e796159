"""One partition of `filtered-pair` cut into shards: a pure function of its log, committed by manifests."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from entityflow.errors import LossDetected
from entityflow.metrics import SHARD_CONFLICTS
from entityflow.objects import Objects
from entityflow.records import FilteredPair, Record, Seal
from entityflow.shards import Manifest, ShardObject, decode_manifest, list_manifests
from entityflow.stage import Batch, Message, Received, Send
from services.sharder.known import KnownPictures
from services.sharder.open_shard import Finished, Limits, OpenShard
from services.sharder.spool import new_folder
from services.sharder.table import keys_of

PAIRS, SHARDS = "filtered-pair", "shard"
AGE = "age"


@dataclass(frozen=True)
class Surroundings:
    """What a handler needs besides its partition.

    committed: the offset that the group has committed on a partition: the events of all that ends before it are
    acknowledged. clock: seconds; it only decides when a seal is written, never where a shard is cut.
    """

    objects: Objects
    folder: Path
    limits: Limits
    max_age_seconds: float
    committed: Callable[[int], int]
    clock: Callable[[], float]


class Cutting:
    """The handler of a partition. It begins after its newest manifest, whatever the group's offset says."""

    def __init__(self, partition: int, topic_uuid: str, around: Surroundings) -> None:
        self._partition, self._uuid, self._around, self._objects = partition, topic_uuid, around, around.objects
        self._tables = around.folder / "tables"
        self._spool = new_folder(around.folder / "open")
        self._log = structlog.get_logger().bind(partition=partition)
        self._known = KnownPictures()
        self._told: list[Manifest] = []
        self._finished: Finished | None = None
        self._sealed_at = -1
        self._newest_ms = 0
        self._stepped = False
        self._open = self._opened(0)

    def start(self) -> int | None:
        """Reads what is committed: its end, the pictures that it has, and which events may not have been told."""
        self._objects.ensure_bucket()
        manifests = list(list_manifests(self._objects, self._partition))
        acknowledged = self._around.committed(self._partition)
        for manifest in manifests:
            self._check_topic(manifest)
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
            self._known.update(keys_of(self._cached(manifest.table)))

    def _cached(self, table: ShardObject) -> Path:
        cached = self._tables / f"{table.sha256}.parquet"
        if not cached.exists():
            self._tables.mkdir(parents=True, exist_ok=True)
            arrived = self._spool / cached.name
            self._objects.download(table.key, arrived)
            found = hashlib.sha256(arrived.read_bytes()).hexdigest()
            if found != table.sha256:
                raise LossDetected(
                    f"{table.key} has sha256 {found[:12]}, its manifest says {table.sha256[:12]}",
                    hint="entityflow shards verify lists what is damaged",
                )
            arrived.replace(cached)
        return cached

    def _opened(self, start: int) -> OpenShard:
        return OpenShard(self._spool, self._partition, start, self._around.limits)

    def step(self, batch: list[Received[Record]]) -> Batch:
        """What the batch closes. After Retryable the same batch comes again: what was taken is not taken twice."""
        self._stepped = True
        self._commit()
        for received in batch:
            if received.message.offset > self._open.end:
                self._take(received.record, received.message)
                self._commit()
        return self._batch()

    def _take(self, record: Record, message: Message) -> None:
        shard = self._open
        closed = isinstance(record, Seal) and shard.is_closed_by(record)
        shard.saw(message.offset, message.timestamp_ms)
        self._newest_ms = message.timestamp_ms
        if isinstance(record, FilteredPair) and record.image_id not in self._known and record.image_id not in shard.ids:
            shard.add(record)
        if closed or shard.is_full:
            self._finished = shard.finish(self._uuid)

    def _commit(self) -> None:
        """Files first, then the manifest, which nobody overwrites. Raises Retryable while the store is away."""
        if self._finished is None:
            return
        manifest = self._finished.manifest
        for path, key in self._finished.files:
            self._objects.put(key, path)
        if self._objects.put_if_absent(manifest.key, manifest.encode()):
            self._known.update(self._open.ids)
        else:
            manifest = self._adopt(manifest)
        self._told.append(manifest)
        self._open.discard()
        self._finished = None
        self._open = self._opened(manifest.input.end + 1)

    def _adopt(self, ours: Manifest) -> Manifest:
        """Another sharder committed this range before us: the same bytes, or something is wrong with one of us."""
        theirs = decode_manifest(self._objects.get(ours.key))
        self._check_topic(theirs)
        if theirs != ours:
            SHARD_CONFLICTS.inc()
            self._log.error("shard_differs", manifest=ours.key, ours=ours.encode().decode())
        if theirs.input.end < ours.input.end:
            raise RuntimeError(f"{ours.key} ends at {theirs.input.end}, this process has read to {ours.input.end}")
        self._learn(theirs)
        return theirs

    def tick(self) -> Batch | None:
        """Comes after each step too; one that follows another tick means that nothing has arrived."""
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
        if self._open.is_empty or self._sealed_at == self._open.start:
            return False
        caught_up = idle or not self._has_passed(self._newest_ms)
        return caught_up and self._has_passed(self._open.first_ms)

    def _has_passed(self, timestamp_ms: int) -> bool:
        return self._around.clock() - timestamp_ms / 1000 >= self._around.max_age_seconds

    def close(self) -> None:
        """Local files go: whoever owns the partition next reads the open range again."""
        self._open.discard()
        shutil.rmtree(self._spool, ignore_errors=True)
