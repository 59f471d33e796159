"""Whether shards are what their manifests say: bytes, samples, tables, ranges of the log, and what belongs to none."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from PIL import Image as Picture

from entityflow.errors import EntityflowError
from entityflow.objects import ObjectMissing, Objects
from entityflow.shard_leftovers import ORPHAN, leftovers
from entityflow.shards import ROOT, SUCCESS, SUFFIXES, Manifest, ShardObject, list_manifests

Etags = Mapping[str, str]
COLUMNS = ["key", "status", "heldout", "offset", "bytes"]


@dataclass(frozen=True, slots=True)
class Finding:
    shard_id: str
    what: str


@dataclass
class Verdict:
    """`warnings` harm no reader: files that no manifest names. read: shards that no earlier look had found whole."""

    shards: int = 0
    samples: int = 0
    read: int = 0
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)


class Damage(EntityflowError):
    """A file of a shard is not what its manifest says."""


class Memory(Protocol):
    """What an earlier look found whole, as long as no file has another ETag."""

    def recall(self, shard_id: str, etags: Etags) -> list[str] | None:
        """Keys of the samples; none = not known."""

    def note(self, shard_id: str, etags: Etags, keys: list[str]) -> None: ...


class NoMemory:
    def recall(self, shard_id: str, etags: Etags) -> list[str] | None:
        return None

    def note(self, shard_id: str, etags: Etags, keys: list[str]) -> None:
        """Every look is the first."""


def verify(objects: Objects, memory: Memory | None = None) -> Verdict:
    """Reads every shard that `memory` does not know: a thousand samples take seconds, a million takes minutes."""
    verdict = Verdict()
    places: dict[str, str] = {}
    etags = {item.key: item.etag for item in objects.list(ROOT)}
    manifests = list(list_manifests(objects))
    with tempfile.TemporaryDirectory(prefix="entityflow-verify-") as folder:
        look = _Look(objects, memory or NoMemory(), etags, Path(folder))
        for manifest in manifests:
            verdict.shards += bool(manifest.count or manifest.heldout_count)
            try:
                keys = look.keys(manifest)
            except Damage as exc:
                verdict.errors.append(Finding(manifest.shard_id, str(exc)))
                continue
            verdict.samples += len(keys)
            verdict.errors += _doubled(manifest.shard_id, keys, places)
    verdict.read = look.read
    verdict.errors += list(broken_ranges(manifests))
    verdict.warnings += [Finding(one.key, "belongs to no manifest") for one in leftovers(objects) if one.why == ORPHAN]
    return verdict


class _Look:
    """At one shard after the other."""

    def __init__(self, objects: Objects, memory: Memory, etags: Etags, folder: Path) -> None:
        self._objects, self._memory, self._etags, self._folder = objects, memory, etags, folder
        self.read = 0

    def keys(self, manifest: Manifest) -> list[str]:
        """Of all its samples. Raises Damage with the first thing that is wrong."""
        files = [manifest.key, *(item.key for item in manifest.objects)]
        now = {key: self._etags.get(key, "") for key in files}
        known = self._memory.recall(manifest.shard_id, now)
        if known is not None:
            return known
        self.read += bool(manifest.objects)
        keys = _checked(self._objects, manifest, self._folder)
        self._memory.note(manifest.shard_id, now, keys)
        return keys


def broken_ranges(manifests: Sequence[Manifest]) -> Iterator[Finding]:
    """Ranges of a partition follow each other without gap or overlap, and come from one topic."""
    ends: dict[int, Manifest] = {}
    for manifest in sorted(manifests, key=lambda one: (one.input.partition, one.input.start)):
        before = ends.get(manifest.input.partition)
        expected = before.input.end + 1 if before else 0
        found = manifest.input
        if found.start != expected:
            what = "overlaps the shard before" if found.start < expected else "leaves a gap behind the shard before"
            yield Finding(manifest.shard_id, f"begins at offset {found.start} instead of {expected}: {what}")
        if before and before.input.topic_uuid != found.topic_uuid:
            yield Finding(manifest.shard_id, f"comes from another topic than {before.shard_id}")
        ends[found.partition] = manifest


def _doubled(shard_id: str, keys: Iterable[str], places: dict[str, str]) -> Iterator[Finding]:
    for key in keys:
        other = places.setdefault(key, shard_id)
        if other != shard_id:
            yield Finding(shard_id, f"the sample {key} is in {other} too")


def _checked(objects: Objects, manifest: Manifest, folder: Path) -> list[str]:
    """Keys of all samples. Raises Damage with the first thing that is wrong."""
    if manifest.input.end < manifest.input.start and (manifest.count or manifest.heldout_count):
        raise Damage("has samples of no offsets")
    offsets: dict[str, tuple[bool, int, int]] = {}
    for stored, count, heldout in (
        (manifest.tar, manifest.count, False),
        (manifest.heldout, manifest.heldout_count, True),
    ):
        if stored is None:
            if count:
                raise Damage(f"its manifest counts {count} samples and names no file for them")
            continue
        found = check_tar(_brought(objects, stored, folder), stored.key)
        if len(found) != count:
            raise Damage(f"{stored.key} holds {len(found)} samples, its manifest says {count}")
        offsets.update({key: (heldout, *place) for key, place in found.items()})
    if manifest.table is not None:
        _check_table(_brought(objects, manifest.table, folder), manifest.table.key, offsets)
    elif offsets:
        raise Damage("has samples and no table")
    return list(offsets)


def _brought(objects: Objects, stored: ShardObject, folder: Path) -> Path:
    path = folder / "file"
    try:
        objects.download(stored.key, path)
    except ObjectMissing as exc:
        raise Damage(f"{stored.key} is missing") from exc
    if path.stat().st_size != stored.bytes:
        raise Damage(f"{stored.key} has {path.stat().st_size} bytes, its manifest says {stored.bytes}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != stored.sha256:
        raise Damage(f"{stored.key} has sha256 {found[:12]}, its manifest says {stored.sha256[:12]}")
    return path


def check_tar(path: Path, name: str) -> dict[str, tuple[int, int]]:
    """(offset, size) of each sample's picture, in order. Raises Damage unless all are whole and can be decoded."""
    found: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(path, mode="r:") as tar:
            members = tar.getmembers()
            for at in range(0, len(members), len(SUFFIXES)):
                sample = members[at : at + len(SUFFIXES)]
                key = sample[0].name.partition(".")[0]
                if [member.name for member in sample] != [f"{key}.{suffix}" for suffix in SUFFIXES]:
                    raise Damage(f"{name}: {sample[0].name} does not begin a sample of {', '.join(SUFFIXES)}")
                if key in found:
                    raise Damage(f"{name}: {sample[0].name} comes twice")
                decode_picture(tar, sample[0], name)
                found[key] = (sample[0].offset_data, sample[0].size)
    except tarfile.TarError as exc:
        raise Damage(f"{name} is no readable tar: {exc}") from exc
    return found


def decode_picture(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
    """Raises Damage for what is no picture."""
    content = tar.extractfile(member)
    data = content.read() if content else b""
    try:
        with Picture.open(io.BytesIO(data)) as picture:
            picture.load()
    except (OSError, ValueError, Picture.DecompressionBombError) as exc:
        raise Damage(f"{name}: {member.name} is no picture: {exc}") from exc


def _check_table(path: Path, name: str, offsets: dict[str, tuple[bool, int, int]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(path, columns=COLUMNS).to_pylist()
    except (pa.ArrowException, OSError) as exc:
        raise Damage(f"{name} is no readable table: {exc}") from exc
    rows = [row for row in rows if row["status"] == SUCCESS]
    told = {row["key"]: (row["heldout"], row["offset"], row["bytes"]) for row in rows}
    if told != offsets or len(rows) != len(offsets):
        wrong = next((key for key in {**told, **offsets} if told.get(key) != offsets.get(key)), "a row")
        raise Damage(f"{name}: its {len(rows)} rows do not place the {len(offsets)} samples: {wrong}")
