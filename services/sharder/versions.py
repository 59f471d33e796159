"""The next version of one shard: every sample in its place, those changed of which something was learned."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from entityflow.errors import UserError
from entityflow.objects import Objects
from entityflow.shards import REMOVED, SUFFIXES, Folded, Manifest, ShardObject
from services.sharder.files import Finished, ShardFiles
from services.sharder.folding import Fate
from services.sharder.samples import Member, members
from services.sharder.tars import packed

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Stored:
    """One version of a shard, its tars on this machine."""

    manifest: Manifest
    rows: Sequence[Row]
    _tars: Mapping[bool, tarfile.TarFile]

    def members(self, row: Row) -> list[Member]:
        """Picture, text and description of a sample, as they are."""
        tar = self._tars[row["heldout"]]
        return [(name, _read(tar, name)) for name in (f"{row['key']}.{suffix}" for suffix in SUFFIXES)]


@contextmanager
def stored(objects: Objects, manifest: Manifest, rows: Sequence[Row], folder: Path) -> Iterator[Stored]:
    """Raises UserError where a tar is not what the manifest says: nothing is made out of what is damaged."""
    with ExitStack() as stack:
        tars: dict[bool, tarfile.TarFile] = {}
        for heldout, item in ((False, manifest.tar), (True, manifest.heldout)):
            if item is not None:
                path = folder / f"stored-{heldout:d}.tar"
                stack.callback(path.unlink, missing_ok=True)
                _fetch(objects, item, path)
                tars[heldout] = stack.enter_context(tarfile.open(path, mode="r:"))
        yield Stored(manifest, rows, tars)


def _fetch(objects: Objects, item: ShardObject, path: Path) -> None:
    objects.download(item.key, path)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != item.sha256:
        raise UserError(
            f"{item.key} has sha256 {found[:12]}, its manifest says {item.sha256[:12]}",
            hint="entityflow shards verify lists what is damaged",
        )


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    content = tar.extractfile(name)
    if content is None:
        raise UserError(f"{name} is no file in its tar", hint="entityflow shards verify lists what is damaged")
    return content.read()


@contextmanager
def next_version(shard: Stored, fates: Mapping[str, Fate], folded: Folded, folder: Path) -> Iterator[Finished]:
    """Its files, as long as the context lasts. `fates` are those of samples that change, without their pictures."""
    manifest = shard.manifest
    version = manifest.version + 1
    files = ShardFiles(folder, f"{manifest.shard_id}.v{version}")
    try:
        for row in shard.rows:
            _add(files, shard, row, fates.get(row["key"]))
        yield files.finish(manifest.input, manifest.config, version, folded)
    finally:
        files.abandon()


def _add(files: ShardFiles, shard: Stored, row: Row, fate: Fate | None) -> None:
    if row["status"] == REMOVED:
        files.remove(row["key"], row["error_message"])
    elif fate is None:
        files.keep(row, packed(shard.members(row)))
    elif fate.pair is None:
        files.remove(row["key"], fate.reason or "")
    else:
        (_, picture), *_ = shard.members(row)
        whole = replace(fate.pair, payload=picture)
        files.add(whole, packed(members(whole)))
