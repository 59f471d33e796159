"""`entityflow shards`: what is in the bucket, whether it is whole, what nobody needs, and a copy for other tools."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entityflow.cli.output import print_json, print_table, say
from entityflow.cli.servers import settings_with
from entityflow.errors import UsageError, UserError

if TYPE_CHECKING:
    from entityflow.objects import Objects
    from entityflow.shard_checks import Verdict
    from entityflow.shards import Manifest

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
SAID_WARNINGS = 20


def list_shards(
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only the ids of shards.")] = False,
) -> None:
    """The newest version of every shard.

    Example: entityflow shards list
    """
    if as_json and quiet:
        raise UsageError("--json and --quiet cannot go together", hint="choose one of them")
    rows = [
        {
            "shard_id": manifest.shard_id,
            "version": manifest.version,
            "samples": manifest.count,
            "heldout": manifest.heldout_count,
            "bytes": manifest.tar.bytes if manifest.tar else 0,
            "entities": manifest.entities,
        }
        for manifest in _filled(_objects())
    ]
    if as_json:
        print_json({"shards": rows})
    elif quiet:
        for row in rows:
            print(row["shard_id"])
    else:
        titles = ["shard_id", "version", "samples", "heldout", "bytes", "entities"]
        print_table(titles, [list(row.values()) for row in rows])


def verify(
    tars: Annotated[
        list[Path] | None, typer.Argument(help="Tars or folders on this machine instead of the bucket, by anybody.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read again what was read before.")] = False,
    store_only: Annotated[bool, typer.Option("--store-only", help="Without the broker: no events, no log.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read every shard against its manifest, the log and the events, decode every picture; exit code 1 for errors.

    A second look reads only what has changed.

    Example: entityflow shards verify --json
    """
    verdict = _verdict_of_tars(tars) if tars else _verdict(full, store_only)
    if as_json:
        print_json(asdict(verdict))
    else:
        for error in verdict.errors:
            print(f"{error.shard_id}\t{error.what}")
        for warning in verdict.warnings[:SAID_WARNINGS]:
            say(f"warning: {warning.shard_id} {warning.what}")
        counts = f"{len(verdict.errors)} errors, {len(verdict.warnings)} warnings"
        say(f"{verdict.shards} shards, {verdict.samples} samples, {counts}; {verdict.read} shards read")
    raise typer.Exit(1 if verdict.errors else 0)


def _verdict(full: bool, store_only: bool) -> Verdict:
    from entityflow import shard_checks, shard_log_checks
    from entityflow.objects import Objects
    from entityflow.verified import VerifiedShards

    settings = settings_with(*(["s3"] if store_only else ["s3", "kafka"]))
    objects = Objects(settings)
    state = None if store_only else shard_log_checks.look(settings)
    memory = VerifiedShards(settings.state_dir / "verify" / (settings.prefix or "main"))
    verdict = shard_checks.verify(objects, shard_checks.NoMemory() if full else memory)
    if state is not None:
        verdict.errors += shard_log_checks.check(objects, state)
    return verdict


def _verdict_of_tars(paths: list[Path]) -> Verdict:
    from entityflow.foreign_tars import find_tars, read_foreign
    from entityflow.shard_checks import Damage, Finding, Verdict

    verdict = Verdict()
    for path in find_tars(paths):
        verdict.shards += 1
        verdict.read += 1
        try:
            found = read_foreign(path)
        except Damage as exc:
            verdict.errors.append(Finding(str(path), str(exc)))
            continue
        verdict.samples += len(found.samples)
        left_out = ((what, count) for what, count in sorted(found.left_out.items()) if count)
        verdict.warnings += [Finding(str(path), f"{count} {what}") for what, count in left_out]
    return verdict


def pull(
    directory: Annotated[Path, typer.Argument(help="Folder to write into; a second pull fetches what is missing.")],
    heldout: Annotated[bool, typer.Option("--heldout", help="The held-out tars too: 00000.heldout.tar.")] = False,
) -> None:
    """Write every shard as 00000.tar and on, with sizes.json, metadata.parquet, manifest.json and README.md.

    webdataset, datasets and open_clip read the tars; the README says how.

    Example: entityflow shards pull ./pairs
    """
    from entityflow import shard_copy

    objects = _objects()
    manifests = _filled(objects)
    if not any(one.tar or (heldout and one.heldout) for one in manifests):
        raise UserError("there is no shard yet", hint="entityflow wait seals what is open; entityflow report counts")
    pulled = shard_copy.pull(objects, manifests, directory, heldout, say)
    for item in pulled:
        print(directory / item.name)
    say(f"{sum(item.samples for item in pulled)} samples in {len(pulled)} tars")


def sweep(
    delete: Annotated[bool, typer.Option("--delete", help="Delete what is older than the safe age.")] = False,
    older_than_hours: Annotated[float, typer.Option(min=1, help="The safe age: writers and readers are done.")] = 24.0,
    as_json: AsJson = False,
) -> None:
    """List files of no shard, and those of versions that another has replaced; delete them only when told.

    Example: entityflow shards sweep
    """
    from datetime import UTC, datetime, timedelta

    from entityflow import shard_leftovers

    objects, age, now = _objects(), timedelta(hours=older_than_hours), datetime.now(UTC)
    planned = shard_leftovers.planned_files(objects)
    found = shard_leftovers.leftovers(objects)
    old = [one for one in found if one.may_go(now, age, planned)]
    deleted = {one.key for one in shard_leftovers.delete(objects, old)} if delete else set()
    rows = [
        {
            "key": one.key,
            "bytes": one.bytes,
            "why": one.why,
            "age_hours": round((now - one.since).total_seconds() / 3600, 1),
            "may_go": one in old,
            "deleted": one.key in deleted,
        }
        for one in found
    ]
    if as_json:
        print_json({"files": rows})
        return
    print_table(["key", "bytes", "why", "age_hours", "may_go", "deleted"], [list(row.values()) for row in rows])
    say(f"{len(found)} files, {len(old)} older than the safe age and in no plan, {len(deleted)} deleted")


def _objects() -> Objects:
    from entityflow.objects import Objects

    return Objects(settings_with("s3"))


def _filled(objects: Objects) -> list[Manifest]:
    from entityflow.shards import list_manifests

    return [one for one in list_manifests(objects) if one.count or one.heldout_count]
