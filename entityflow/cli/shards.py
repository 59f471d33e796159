"""`entityflow shards`: what is in the bucket, whether it is whole, and a copy that other tools read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entityflow.cli.output import print_json, print_table, say
from entityflow.errors import UserError
from entityflow.settings import Settings, load_settings

if TYPE_CHECKING:
    from entityflow.objects import Objects
    from entityflow.shards import Manifest, ShardObject

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

app = typer.Typer(no_args_is_help=True, help="List, verify and pull shards.")


@app.command("list")
def list_shards(as_json: AsJson = False) -> None:
    """The newest version of every shard.

    Example: entityflow shards list
    """
    rows = [
        {
            "shard_id": manifest.shard_id,
            "version": manifest.version,
            "samples": manifest.count,
            "heldout": manifest.heldout_count,
            "bytes": manifest.tar.bytes if manifest.tar else 0,
            "entities": manifest.entities,
        }
        for manifest in _filled(load_settings(Settings))
    ]
    if as_json:
        print_json({"shards": rows})
    else:
        titles = ["shard_id", "version", "samples", "heldout", "bytes", "entities"]
        print_table(titles, [list(row.values()) for row in rows])


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Read every shard against its manifest; exit code 1 where something is wrong.

    Example: entityflow shards verify --json
    """
    from entityflow.objects import Objects

    settings = load_settings(Settings)
    objects = Objects(settings)
    samples, shards = 0, 0
    errors: list[dict[str, str]] = []
    seen: dict[str, str] = {}
    for manifest in _filled(settings):
        shards += 1
        for what, keys in _checked(objects, manifest):
            errors += [{"shard_id": manifest.shard_id, "what": what}] if what else []
            samples += len(keys)
            twice = [key for key in keys if seen.setdefault(key, manifest.shard_id) != manifest.shard_id]
            errors += [{"shard_id": manifest.shard_id, "what": f"{key} is in {seen[key]} too"} for key in twice]
    if as_json:
        print_json({"shards": shards, "samples": samples, "errors": errors})
    else:
        for error in errors:
            print(f"{error['shard_id']}\t{error['what']}")
        say(f"{shards} shards, {samples} samples, {len(errors)} errors")
    raise typer.Exit(1 if errors else 0)


@app.command()
def pull(
    directory: Annotated[Path, typer.Argument(help="Folder to write into.")],
    heldout: Annotated[bool, typer.Option("--heldout", help="The held-out tars too: 00000.heldout.tar.")] = False,
) -> None:
    """Write every shard as 00000.tar and on, with sizes.json, metadata.parquet and manifests.json.

    webdataset, datasets and open_clip read the tars; a second pull fetches only what is missing.

    Example: entityflow shards pull ./pairs
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from entityflow.codec import to_plain
    from entityflow.objects import Objects

    settings = load_settings(Settings)
    objects = Objects(settings)
    directory.mkdir(parents=True, exist_ok=True)
    manifests = [manifest for manifest in _filled(settings) if manifest.tar or heldout]
    if not manifests:
        raise UserError(
            "there is no shard yet", hint="entityflow wait seals what is open; entityflow report shows counts"
        )
    sizes: dict[str, int] = {}
    tables = []
    for number, manifest in enumerate(manifests):
        wanted = [(manifest.tar, manifest.count, f"{number:05d}.tar")]
        wanted += [(manifest.heldout, manifest.heldout_count, f"{number:05d}.heldout.tar")] if heldout else []
        for stored, count, name in wanted:
            if stored is not None:
                _fetch(objects, stored, directory / name)
                sizes[name] = count
        if manifest.table is not None:
            part = directory / ".table.parquet"
            _fetch(objects, manifest.table, part)
            tables.append(pq.read_table(part))
            part.unlink()
    table = pa.concat_tables(tables)
    pq.write_table(
        table if heldout else table.filter(pa.compute.invert(table["heldout"])), directory / "metadata.parquet"
    )
    (directory / "sizes.json").write_text(json.dumps(sizes, indent=1) + "\n")
    (directory / "manifests.json").write_text(json.dumps([to_plain(one) for one in manifests], indent=1) + "\n")
    for name in sizes:
        print(directory / name)
    say(f"{sum(sizes.values())} samples in {len(sizes)} tars")


def _filled(settings: Settings) -> list[Manifest]:
    from entityflow.objects import Objects
    from entityflow.shards import list_manifests

    return [one for one in list_manifests(Objects(settings)) if one.count or one.heldout_count]


def _fetch(objects: Objects, stored: ShardObject, path: Path) -> None:
    if not path.exists() or _sha256(path) != stored.sha256:
        objects.download(stored.key, path)
    if _sha256(path) != stored.sha256:
        raise UserError(f"{stored.key} is not what its manifest says", hint="entityflow shards verify")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(objects: Objects, manifest: Manifest) -> list[tuple[str, list[str]]]:
    """For each tar (what is wrong or nothing, keys that were read)."""
    from entityflow.objects import ObjectMissing

    found: list[tuple[str, list[str]]] = []
    for stored, count in ((manifest.tar, manifest.count), (manifest.heldout, manifest.heldout_count)):
        if stored is None:
            continue
        try:
            data = objects.get(stored.key)
        except ObjectMissing:
            found.append((f"{stored.key} is missing", []))
            continue
        found.append(_looked_through(stored, data, count))
    if manifest.table is not None and objects.size(manifest.table.key) != manifest.table.bytes:
        found.append((f"{manifest.table.key} is missing or of another size", []))
    return found


def _looked_through(stored: ShardObject, data: bytes, count: int) -> tuple[str, list[str]]:
    import io
    import tarfile

    if hashlib.sha256(data).hexdigest() != stored.sha256:
        return f"{stored.key} has another sha256 than its manifest says", []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
    keys = [name.removesuffix(".jpg") for name in names if name.endswith(".jpg")]
    expected: list[Any] = [f"{key}.{suffix}" for key in keys for suffix in ("jpg", "txt", "json")]
    if names != expected or len(keys) != count:
        return f"{stored.key} holds {len(keys)} whole samples, its manifest says {count}", keys
    return "", keys
