"""Shard files as readers see them: keys, manifests, what holds for every sample.

`shards/p003/000000012000-{sha256[:12]}.tar`, `.heldout.tar`, `.parquet`, then the manifest
`shards/p003/000000012000.json`: a shard exists when its manifest does. A later version has `000000012000.v2.json`.
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
MANIFEST = re.compile(r"^shards/p(\d{3})/(\d{12})(?:\.v(\d+))?\.json$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardObject:
    """One file of a shard in the bucket."""

    key: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a shard holds: `count` samples in `tar`, `heldout_count` in `heldout`; a file without samples is none."""

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
        """What is told to the trainer; nothing of a range without samples."""
        if not self.count and not self.heldout_count:
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
    newest: dict[tuple[int, int], tuple[int, str]] = {}
    for stored in objects.list(prefix):
        if found := MANIFEST.match(stored.key):
            place, version = (int(found[1]), int(found[2])), int(found[3] or 1)
            if version > newest.get(place, (0, ""))[0]:
                newest[place] = (version, stored.key)
    for _place, (_version, key) in sorted(newest.items()):
        yield decode_manifest(objects.get(key))
