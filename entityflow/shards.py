"""Shard files as readers see them: keys, manifests, what holds for every sample.

`shards/p003/000000012000-{sha256[:12]}.tar`, `.heldout.tar`, `.parquet`, then the manifest
`shards/p003/000000012000.json`: a shard exists when its manifest does. A later version has `000000012000.v2.json`.
Manifests stay for good, files of earlier versions do not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from entityflow.codec import from_plain, to_plain
from entityflow.objects import Objects
from entityflow.records import Shard, ShardInput

ROOT = "shards/"
SUCCESS, REMOVED = "success", "removed"  # status of a row in a table: a sample, or one that has left
SUFFIXES = ("jpg", "txt", "json")  # the members of a sample, in this order
MANIFEST = re.compile(r"^shards/p(\d{3})/(\d{12})(?:\.v(\d+))?\.json$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardObject:
    """One file of a shard in the bucket."""

    key: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What was learned later and is in a version: all of `amend` and `tombstone` before these offsets.

    forgotten: samples and sources that a tombstone took out of this version: files of versions before it go at once.
    """

    amend_uuid: str
    amend_end: int  # of the shard's own partition
    tombstone_end: int
    forgotten: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a shard holds: `count` samples in `tar`, `heldout_count` in `heldout`; a file without samples is none.

    `table` has a row for each of them, and for each of the `removed` samples of earlier versions.
    config: of the settings that decided where it was cut.
    """

    shard_id: str
    version: int
    input: ShardInput
    count: int
    heldout_count: int
    tar: ShardObject | None = None
    heldout: ShardObject | None = None
    table: ShardObject | None = None
    entities: int
    schema_fingerprints: tuple[str, ...]
    writer_version: str
    removed: int = 0
    config: str | None = None
    folded: Folded | None = None

    @property
    def key(self) -> str:
        return manifest_key(self.input.partition, self.input.start, self.version)

    @property
    def objects(self) -> tuple[ShardObject, ...]:
        return tuple(item for item in (self.tar, self.heldout, self.table) if item is not None)

    def encode(self) -> bytes:
        """Equal manifests are equal bytes."""
        return json.dumps({"schema": 1, **to_plain(self)}, indent=1, sort_keys=True).encode() + b"\n"

    def event(self) -> Shard | None:
        """What is told to the trainer; nothing of a range that never had a sample."""
        if not self.count and not self.heldout_count and not self.removed:
            return None
        return Shard(
            shard_id=self.shard_id,
            version=self.version,
            manifest=self.key,
            count=self.count,
            heldout_count=self.heldout_count,
            bytes=self.tar.bytes if self.tar else 0,
            sha256=self.tar.sha256 if self.tar else "",
            input=self.input,
            entities=self.entities,
            schema_fingerprints=self.schema_fingerprints,
            writer_version=self.writer_version,
        )


def decode_manifest(data: bytes) -> Manifest:
    plain: dict[str, Any] = json.loads(data)
    return from_plain(Manifest, plain)


def shard_id(partition: int, start: int) -> str:
    return f"p{partition:03d}-{start:012d}"


def stem(partition: int, start: int) -> str:
    return f"{ROOT}p{partition:03d}/{start:012d}"


def manifest_key(partition: int, start: int, version: int = 1) -> str:
    return stem(partition, start) + (f".v{version}.json" if version > 1 else ".json")


def manifest_key_of(identity: str, version: int) -> str:
    """The manifest's key of a shard_id. Raises ValueError where it is none."""
    partition, _, start = identity.removeprefix("p").partition("-")
    return manifest_key(int(partition), int(start), version)


def list_manifests(objects: Objects, partition: int | None = None) -> Iterator[Manifest]:
    """The newest version of every shard, those without samples too, by partition and offset."""
    prefix = ROOT if partition is None else f"{ROOT}p{partition:03d}/"
    for versions in manifest_keys(objects, prefix).values():
        yield decode_manifest(objects.get(versions[-1]))


def newest_manifest(objects: Objects, manifest: Manifest) -> Manifest:
    """Of the same shard."""
    (versions,) = manifest_keys(objects, stem(manifest.input.partition, manifest.input.start)).values()
    return decode_manifest(objects.get(versions[-1]))


def manifest_keys(objects: Objects, prefix: str = ROOT) -> dict[tuple[int, int], list[str]]:
    """Keys of all versions, oldest first, by (partition, first offset) in that order."""
    found: dict[tuple[int, int], dict[int, str]] = {}
    for stored in objects.list(prefix):
        if match := MANIFEST.match(stored.key):
            place = int(match[1]), int(match[2])
            found.setdefault(place, {})[int(match[3] or 1)] = stored.key
    return {place: [key for _, key in sorted(versions.items())] for place, versions in sorted(found.items())}
