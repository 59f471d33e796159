"""A copy of all shards in a folder that other tools read: numbered without gaps, complete or as it was before.

Numbers stay what they were when shards are added; files are fetched once, by their SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from entityflow.codec import to_plain
from entityflow.errors import UserError
from entityflow.objects import Objects
from entityflow.shards import SUCCESS, Manifest, ShardObject

SIZES, MANIFESTS, TABLE, README = "sizes.json", "manifest.json", "metadata.parquet", "README.md"
TABLES = ".tables"
HELDOUT = ".heldout.tar"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pulled:
    """A tar of the copy and how many samples are in it."""

    name: str
    stored: ShardObject
    samples: int


def pull(objects: Objects, manifests: Sequence[Manifest], folder: Path, heldout: bool, tell: Tell) -> list[Pulled]:
    """Every training tar, with `heldout` those too. Raises UserError where a file is not what its manifest says."""
    before = _numbers_before(folder)
    numbered = number(manifests, before, heldout)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / MANIFESTS, json.dumps({"schema": 1, "shards": list(_listed(numbered))}, indent=1) + "\n")
    wanted = [item for at, manifest in numbered for item in _tars(at, manifest, heldout)]
    missing = [item for item in wanted if not _is_there(folder / item.name, item.stored)]
    for done, item in enumerate(missing, 1):
        _fetch(objects, item.stored, folder / item.name)
        tell(f"{done} of {len(missing)}: {item.name}, {item.samples} samples")
    _write_table(objects, folder, [manifest for _, manifest in numbered], heldout)
    _write(folder / SIZES, json.dumps({item.name: item.samples for item in wanted}, indent=1) + "\n")
    _write(folder / README, _readme(wanted))
    for name in {f"{at:05d}{end}" for at in before.values() for end in (".tar", HELDOUT)} - {
        one.name for one in wanted
    }:
        (folder / name).unlink(missing_ok=True)
    return wanted


def number(manifests: Sequence[Manifest], before: dict[str, int], heldout: bool = False) -> list[tuple[int, Manifest]]:
    """A number for each manifest, 0 and on without gaps: first the shards that had one, in their order, then the rest.

    Those without training samples come last: where held-out tars are not wanted they have no file at all.
    """
    chosen = [one for one in manifests if one.tar or (heldout and one.heldout)]
    place = {one.shard_id: at for at, one in enumerate(chosen)}
    last = max(before.values(), default=0) + 1

    def rank(one: Manifest) -> tuple[bool, int, int]:
        return one.tar is None, before.get(one.shard_id, last), place[one.shard_id]

    return list(enumerate(sorted(chosen, key=rank)))


def _numbers_before(folder: Path) -> dict[str, int]:
    """Of an earlier copy in this folder. Raises UserError where its tars are somebody else's."""
    try:
        listed = json.loads((folder / MANIFESTS).read_text())["shards"]
        return {item["shard_id"]: item["number"] for item in listed}
    except (OSError, ValueError, KeyError, TypeError):
        if any(folder.glob("*.tar")):
            raise UserError(f"{folder} holds tars that no pull has written", hint="name an empty folder") from None
        return {}


def _tars(at: int, manifest: Manifest, heldout: bool) -> Iterator[Pulled]:
    if manifest.tar:
        yield Pulled(f"{at:05d}.tar", manifest.tar, manifest.count)
    if heldout and manifest.heldout:
        yield Pulled(f"{at:05d}{HELDOUT}", manifest.heldout, manifest.heldout_count)


def _listed(numbered: Sequence[tuple[int, Manifest]]) -> Iterator[dict[str, object]]:
    return ({"number": at, **to_plain(manifest)} for at, manifest in numbered)


def _is_there(path: Path, stored: ShardObject) -> bool:
    return path.exists() and path.stat().st_size == stored.bytes and _sha256(path) == stored.sha256


def _fetch(objects: Objects, stored: ShardObject, path: Path) -> None:
    """The file appears when it is whole and right."""
    arrived = path.with_name(f".{path.name}")
    try:
        objects.download(stored.key, arrived)
        if _sha256(arrived) != stored.sha256:
            raise UserError(f"{stored.key} is not what its manifest says", hint="entityflow shards verify")
        arrived.replace(path)
    finally:
        arrived.unlink(missing_ok=True)


def _write_table(objects: Objects, folder: Path, manifests: Sequence[Manifest], heldout: bool) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    tables = folder / TABLES
    tables.mkdir(exist_ok=True)
    scratch = folder / f".{TABLE}"
    writer = None
    for manifest in manifests:
        if manifest.table is None:
            continue
        kept = tables / f"{manifest.table.sha256}.parquet"
        if not _is_there(kept, manifest.table):
            _fetch(objects, manifest.table, kept)
        every = pq.read_table(kept)
        rows = every.filter(pc.equal(every["status"], SUCCESS))
        writer = writer or pq.ParquetWriter(scratch, rows.schema, compression="zstd")
        writer.write_table(rows if heldout else rows.filter(pc.invert(rows["heldout"])))
    if writer is not None:
        writer.close()
        scratch.replace(folder / TABLE)


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}")
    scratch.write_text(text)
    scratch.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _readme(tars: Sequence[Pulled]) -> str:
    training = [item for item in tars if not item.name.endswith(HELDOUT)]
    samples = sum(item.samples for item in training)
    braces = f"{{00000..{len(training) - 1:05d}}}.tar" if len(training) > 1 else "00000.tar"
    return f"""# Image-text pairs, grown by entityflow

{samples} training samples in {len(training)} WebDataset tars; {sum(item.samples for item in tars) - samples} held-out
samples in `*{HELDOUT}`: never train on them. Each sample is `KEY.jpg`, `KEY.txt` (the main text) and `KEY.json` (all
texts, entities, sources with licences, hashes); KEY is the SHA-256 of the original file.

    webdataset   webdataset.WebDataset("{braces}", shardshuffle=False).decode("pil").to_tuple("jpg", "txt")
    datasets     load_dataset("webdataset", data_files={{"train": "[0-9][0-9][0-9][0-9][0-9].tar"}})
    open_clip    --train-data "{braces}" --dataset-type webdataset (sizes.json has the number of samples)

`metadata.parquet` has a row a sample (img2dataset's columns), `{MANIFESTS}` says where each tar comes from.
"""
