"""One partition of `filtered-pair` cut into shards: a pure function of its log, committed by manifests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from entityflow.metrics import SHARD_CONFLICTS
from entityflow.objects import Objects
from entityflow.records import FilteredPair, Record, Seal
from entityflow.shards import Manifest, decode_manifest, list_manifests
from entityflow.stage import Batch, Message, Received, Send
from services.sharder.open_shard import Finished, Limits, OpenShard
from services.sharder.table import keys_of

PAIRS, SHARDS = "filtered-pair", "shard"
AGE = "age"

Clock = Callable[[], float]


class Cutting:
    """The handler of a partition. It begins after its newest manifest, whatever the group's offset says."""

    def __init__(
        self, partition: int, topic_uuid: str, objects: Objects, folder: Path, limits: Limits, age: float, clock: Clock
    ) -> None:
        self._partition, self._uuid, self._objects, self._folder = partition, topic_uuid, objects, folder
        self._limits, self._age, self._clock = limits, age, clock
        self._log = structlog.get_logger().bind(partition=partition)
        self._known: set[str] = set()
        self._told: list[Manifest] = []
        self._finished: Finished | None = None
        self._sealed_at = -1
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> int | None:
        """Reads what is committed: its end, the pictures that it has, and the newest event, which is repeated."""
        newest: Manifest | None = None
        for manifest in list_manifests(self._objects, self._partition):
            if manifest.input.topic_uuid == self._uuid:
                newest = manifest
            self._learn(manifest)
        begin = newest.input.end + 1 if newest else 0
        self._told = [newest] if newest else []
        self._open = self._opened(begin)
        return begin if newest else None

    def _learn(self, manifest: Manifest) -> None:
        if manifest.table is None:
            return
        cached = self._folder / f"{manifest.table.sha256}.parquet"
        if not cached.exists():
            self._objects.download(manifest.table.key, cached)
        self._known.update(keys_of(cached))

    def _opened(self, start: int) -> OpenShard:
        return OpenShard(self._folder, self._partition, start, self._limits)

    def step(self, batch: list[Received[Record]]) -> Batch:
        """What the batch closes. After Retryable the same batch comes again: what was taken is not taken twice."""
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
        if not self._objects.put_if_absent(manifest.key, manifest.encode()):
            manifest = self._adopt(manifest)
        self._known |= self._open.ids
        self._told.append(manifest)
        self._open.discard()
        self._finished = None
        self._open = self._opened(manifest.input.end + 1)

    def _adopt(self, ours: Manifest) -> Manifest:
        """Another sharder committed this range before us: the same bytes, or something is wrong with one of us."""
        theirs = decode_manifest(self._objects.get(ours.key))
        if theirs != ours:
            SHARD_CONFLICTS.inc()
            self._log.error("shard_differs", manifest=ours.key, ours=ours.encode().decode())
        if theirs.input.end < ours.input.end:
            raise RuntimeError(f"{ours.key} ends at {theirs.input.end}, this process has read to {ours.input.end}")
        return theirs

    def tick(self) -> Batch | None:
        self._commit()
        return self._batch()

    def _batch(self) -> Batch:
        sends = [Send(SHARDS, event) for manifest in self._told if (event := manifest.event())]
        self._told = []
        if self._is_old():
            self._sealed_at = self._open.start
            sends.append(
                Send(
                    PAIRS, Seal(partition=self._partition, start=self._open.start, cause=AGE), partition=self._partition
                )
            )
        return Batch(sends=sends, finished=self._open.start)

    def _is_old(self) -> bool:
        if self._open.is_empty or self._sealed_at == self._open.start:
            return False
        return self._clock() * 1000 - self._open.first_ms >= self._age * 1000

    def close(self) -> None:
        """Local files go: whoever owns the partition next reads the open range again."""
        self._open.discard()
