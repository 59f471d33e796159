"""`entityflow benchmark add` and `list`: the pictures that models are measured with, kept out of training."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from entityflow.benchmarks import BenchmarkSet, benchmark_fingerprint, known_sets, registered
from entityflow.cli.output import print_json, print_table, say
from entityflow.cli.servers import settings_with
from entityflow.codec import to_plain
from entityflow.errors import UsageError
from entityflow.heldout import HELDOUT
from entityflow.objects import Objects
from entityflow.stage import Send, produce_all
from services.filter.benchmark_pictures import Hashed, hashed
from services.filter.fingerprints import HASH_VERSION

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
SAID_NAMES = 5
MAX_NAME = 100


def add(
    name: Annotated[str, typer.Argument(help="What the benchmark is called; kept with every pair near it.")],
    source: Annotated[Path, typer.Argument(help="Folder of pictures or of shards (tars), or one tar.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Hash and count; send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep a benchmark's pictures, and what is nearly one of them, out of training from now on.

    Pictures that are in already are found by `entityflow benchmark replay`. Adding the same again changes nothing.

    Example: entityflow benchmark add cub-200 CUB_200_2011/images
    """
    if not name.strip() or len(name) > MAX_NAME or name == HELDOUT or not name.isprintable():
        raise UsageError(f"{name!r} is no name for a benchmark", hint="a short word such as cub-200")
    settings = None if dry_run else settings_with("kafka", "s3")
    found = hashed(source)
    for unreadable in found.unreadable[:SAID_NAMES]:
        say(f"no picture: {unreadable}")
    new = _set_of(name, found)
    if settings is not None:
        new = registered(Objects(settings), new)
        sends = (
            Send("fingerprint", benchmark_fingerprint(name, new.version, one), partition=0) for one in found.hashes
        )
        produce_all("cli", settings, sends, ["fingerprint"])
        say("what is in already: entityflow benchmark replay --dry-run")
    if as_json:
        print_json({"benchmark": to_plain(new)})
    else:
        _print([new])


def list_sets(as_json: AsJson = False) -> None:
    """Every benchmark that was added.

    Example: entityflow benchmark list --json
    """
    sets = known_sets(Objects(settings_with("s3")))
    if as_json:
        print_json({"benchmarks": [to_plain(one) for one in sets]})
    else:
        _print(sets)


def _set_of(name: str, found: Hashed) -> BenchmarkSet:
    ids = sorted(benchmark_fingerprint(name, 0, one).image_id for one in found.hashes)
    return BenchmarkSet(
        version=0,
        name=name,
        pictures=len(found.hashes),
        plain=found.plain,
        unreadable=len(found.unreadable),
        hash_version=HASH_VERSION,
        digest=hashlib.sha256("\n".join(ids).encode()).hexdigest(),
    )


def _print(sets: list[BenchmarkSet]) -> None:
    titles = ("version", "name", "pictures", "plain", "unreadable")
    print_table(titles, [(one.version, one.name, one.pictures, one.plain, one.unreadable) for one in sets])
