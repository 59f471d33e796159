"""The files of one version of a shard: two tars and a table on the local disk, and the manifest that names them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from entityflow import __version__
from entityflow.codec import fingerprint_of
from entityflow.records import FilteredPair, Shard, ShardInput
from entityflow.shards import REMOVED, Folded, Manifest, ShardObject, shard_id, stem
from services.sharder.samples import removed_row, row
from services.sharder.table import write_table
from services.sharder.tars import TarWriter

FINGERPRINTS = (fingerprint_of(FilteredPair), fingerprint_of(Shard))


@dataclass(frozen=True)
class Finished:
    """A shard whose files are whole: what goes where, and last of all the manifest."""

    manifest: Manifest
    files: list[tuple[Path, str]]


class ShardFiles:
    """Takes samples in order. `name` is the first part of the local files' names."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._rows: list[dict[str, Any]] = []
        self._tars = {heldout: TarWriter(self._path("heldout.tar" if heldout else "tar")) for heldout in (False, True)}

    def add(self, pair: FilteredPair, piece: bytes) -> None:
        """`piece` are the packed members of the pair. All of it or, where OSError is raised, nothing."""
        offset = self._tars[pair.heldout].add(piece)
        self._rows.append(row(pair, offset))

    def keep(self, sample: Mapping[str, Any], piece: bytes) -> None:
        """A sample of an earlier version as it is, by its row."""
        offset = self._tars[sample["heldout"]].add(piece)
        self._rows.append({**sample, "offset": offset})

    def remove(self, image_id: str, reason: str) -> None:
        """A sample of an earlier version that this one has no more."""
        self._rows.append(removed_row(image_id, reason))

    def finish(self, read: ShardInput, config: str | None, version: int = 1, folded: Folded | None = None) -> Finished:
        """After OSError to be called again."""
        for tar in self._tars.values():
            if tar.bytes:
                tar.end()
        samples = [one for one in self._rows if one["status"] != REMOVED]
        heldout = sum(one["heldout"] for one in samples)
        manifest = Manifest(
            shard_id=shard_id(read.partition, read.start),
            version=version,
            input=read,
            count=len(samples) - heldout,
            heldout_count=heldout,
            removed=len(self._rows) - len(samples),
            entities=len({entity for one in samples for entity in one["entities"]}),
            schema_fingerprints=FINGERPRINTS,
            writer_version=__version__,
            config=config,
            folded=folded,
        )
        files: dict[str, Path] = {}
        if manifest.count:
            files["tar"] = self._path("tar")
        if manifest.heldout_count:
            files["heldout"] = self._path("heldout.tar")
        if self._rows:
            files["table"] = self._path("parquet")
            write_table(files["table"], self._rows)
        noted = {field: self._noted(path, read) for field, path in files.items()}
        whole = replace(manifest, tar=noted.get("tar"), heldout=noted.get("heldout"), table=noted.get("table"))
        return Finished(whole, [(path, noted[field].key) for field, path in files.items()])

    def _noted(self, path: Path, read: ShardInput) -> ShardObject:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        suffix = path.name.removeprefix(self._name)
        key = f"{stem(read.partition, read.start)}-{sha256[:12]}{suffix}"
        return ShardObject(key=key, bytes=path.stat().st_size, sha256=sha256)

    def abandon(self) -> None:
        for tar in self._tars.values():
            tar.abandon()
        self._path("parquet").unlink(missing_ok=True)

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._name}.{suffix}"
