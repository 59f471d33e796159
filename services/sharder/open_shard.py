"""The range of a partition that is open: its samples so far, on disk, and when it is to be cut."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from entityflow import __version__
from entityflow.codec import fingerprint_of
from entityflow.records import FilteredPair, Seal, Shard, ShardInput
from entityflow.shards import Manifest, ShardObject, shard_id, stem
from services.sharder.samples import members, row
from services.sharder.table import write_table
from services.sharder.tars import TarWriter

ASKED = "asked"
FINGERPRINTS = (fingerprint_of(FilteredPair), fingerprint_of(Shard))


@dataclass(frozen=True)
class Limits:
    """A shard ends with the sample that reaches one of them."""

    samples: int
    bytes: int


@dataclass(frozen=True)
class Finished:
    """A shard whose files are whole: what goes where, and last of all the manifest."""

    manifest: Manifest
    files: list[tuple[Path, str]]


class OpenShard:
    """Begins at an offset and takes every record from there; what it holds is a function of them."""

    def __init__(self, folder: Path, partition: int, start: int, limits: Limits) -> None:
        self.start, self.end, self.first_ms = start, start - 1, 0
        self.ids: set[str] = set()
        self._folder, self._partition, self._limits = folder, partition, limits
        self._rows: list[dict[str, Any]] = []
        self._entities: set[str] = set()
        self._bytes = 0
        self._tars = {heldout: TarWriter(self._path("heldout.tar" if heldout else "tar")) for heldout in (False, True)}

    @property
    def is_empty(self) -> bool:
        """No record of any kind has come."""
        return self.end < self.start

    def saw(self, offset: int, timestamp_ms: int) -> None:
        if self.is_empty:
            self.first_ms = timestamp_ms
        self.end = offset

    def add(self, pair: FilteredPair) -> None:
        offset = self._tars[pair.heldout].add(members(pair))
        self._rows.append(row(pair, offset))
        self.ids.add(pair.image_id)
        self._entities.update(entity.id for entity in pair.entities)
        self._bytes += len(pair.payload)

    @property
    def is_full(self) -> bool:
        return len(self._rows) >= self._limits.samples or self._bytes >= self._limits.bytes

    def is_closed_by(self, seal: Seal) -> bool:
        """One that was asked for closes whatever is open; one by age only the range that it was written for."""
        return seal.cause == ASKED or seal.start == self.start

    def finish(self, topic_uuid: str) -> Finished:
        """Ends the files. To be called once."""
        for tar in self._tars.values():
            tar.close()
        heldout = sum(one["heldout"] for one in self._rows)
        manifest = Manifest(
            shard_id=shard_id(self._partition, self.start),
            version=1,
            input=ShardInput(topic_uuid=topic_uuid, partition=self._partition, start=self.start, end=self.end),
            count=len(self._rows) - heldout,
            heldout_count=heldout,
            entities=len(self._entities),
            schema_fingerprints=FINGERPRINTS,
            writer_version=__version__,
        )
        files: dict[str, Path] = {}
        if manifest.count:
            files["tar"] = self._path("tar")
        if manifest.heldout_count:
            files["heldout"] = self._path("heldout.tar")
        if self._rows:
            files["table"] = self._path("parquet")
            write_table(files["table"], self._rows)
        noted = {field: self._noted(path) for field, path in files.items()}
        whole = replace(manifest, tar=noted.get("tar"), heldout=noted.get("heldout"), table=noted.get("table"))
        return Finished(whole, [(path, noted[field].key) for field, path in files.items()])

    def _noted(self, path: Path) -> ShardObject:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        suffix = path.name.removeprefix(shard_id(self._partition, self.start))
        key = f"{stem(self._partition, self.start)}-{sha256[:12]}{suffix}"
        return ShardObject(key=key, bytes=path.stat().st_size, sha256=sha256)

    def discard(self) -> None:
        """The local files; what is committed lies in the bucket, the rest is in the log."""
        for tar in self._tars.values():
            tar.abandon()
        self._path("parquet").unlink(missing_ok=True)

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{shard_id(self._partition, self.start)}.{suffix}"
