"""`entityflow grow` and `entityflow demo`: one path from a domain file to a trained model."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from entityflow.cli.environment import BROKER, DEFAULT_DIR, DOMAIN_FILE, load_stack, set_by_somebody, stack_dir
from entityflow.cli.output import Steps, say
from entityflow.errors import UserError
from entityflow.settings import Settings, load_settings

LINE = ("query_builder", "searcher", "fetcher", "filter", "index", "sharder", "coverage")
PARTS = ("kafka", "s3", "sparql", "web")
QUIET_SECONDS = "3"  # on this machine nothing takes longer than its retries, and those are waited for

Limit = Annotated[int | None, typer.Option(min=1, help="Only the N most popular entities.")]
Rounds = Annotated[int | None, typer.Option(min=0, help="How often coverage may ask for more; else the domain's own.")]
Dir = Annotated[Path | None, typer.Option("--dir", help="Folder of the local stack; else .stack.")]


def demo(limit: Limit = None, rounds: Rounds = None, directory: Dir = None) -> None:
    """Grow the demo domain on this machine: a graph, a web, Kafka, S3 and every service, all real, all local.

    A second time the same limit adds nothing, a higher one adds more.

    Example: entityflow demo --limit 60
    """
    _grow(Path(str(files("domains") / "demo.yaml")), limit, rounds, directory or stack_dir())


def grow(
    domain: Annotated[Path, typer.Argument(help="A domain file.")],
    limit: Limit = None,
    rounds: Rounds = None,
    directory: Dir = None,
) -> None:
    """Grow a domain: stack, topics, harvest, every service, seal, train, report.

    The same command goes on where it was stopped, and adds nothing that is there already.

    Example: entityflow grow domains/demo.yaml --limit 60
    """
    _grow(domain, limit, rounds, directory or stack_dir())


def _grow(path: Path, limit: int | None, rounds: int | None, directory: Path) -> None:
    from entityflow.admin import create_topics
    from entityflow.cli.console import ensure_console
    from entityflow.cli.line import run_through, run_until_idle
    from entityflow.cli.report import lines
    from entityflow.cli.run import trim_quietly
    from entityflow.domain import load_domain
    from entityflow.funnel import read_funnel

    steps = Steps()
    domain = load_domain(path)
    claim(directory, path.resolve())
    with steps.step("stack"):
        bring_up(directory)
        settings = _settings(directory, path.resolve(), rounds)
    with steps.step("topics"):
        create_topics(settings)
    with steps.step("console"):
        address = ensure_console(directory.absolute(), settings.prefix)
        say(f"console at {address}")
    with steps.step("harvest"):
        _harvest(path, limit)
    with steps.step("services"):
        run_through(settings, LINE, directory)
        if settings.small_topics:
            trim_quietly(settings)
    with steps.step("train"):
        run_until_idle("trainer", directory, {"ENTITYFLOW_TRAINER_EXIT_WHEN_IDLE": "true"})
    print(f"\n{domain.name}: {', '.join(f'{name} {seconds:g} s' for name, seconds in steps.seconds.items())}\n")
    print("\n".join(lines(read_funnel(settings))))
    print("\n".join(_what_next(address, directory)))


def claim(directory: Path, domain: Path) -> None:
    """One stack grows one domain. Raises UserError where the folder grows another one already."""
    marker = directory / DOMAIN_FILE
    line = f"ENTITYFLOW_DOMAIN={domain}\n"
    if marker.is_file() and marker.read_text() != line and not os.environ.get("ENTITYFLOW_PREFIX"):
        other = marker.read_text().strip().partition("=")[2]
        raise UserError(
            f"the stack in {directory} grows {other} already",
            hint="--dir with another folder, or ENTITYFLOW_PREFIX, keeps two domains apart",
        )
    directory.mkdir(parents=True, exist_ok=True)
    marker.write_text(line)


def bring_up(directory: Path, parts: Sequence[str] = PARTS) -> None:
    """Start what nobody has named another server for. Somebody's own broker means: no local server at all."""
    from entityflow.embedded.supervisor import Stack

    if set_by_somebody(BROKER):
        return
    theirs = {"sparql": "ENTITYFLOW_SPARQL_ENDPOINT", "web": "ENTITYFLOW_SEARCH_ENDPOINT"}
    away = {part for part, variable in theirs.items() if set_by_somebody(variable)}
    Stack(directory).up([part for part in parts if part not in away], say)
    load_stack(directory)


def _settings(directory: Path, domain: Path, rounds: int | None) -> Settings:
    """What the services of this command find in their environment."""
    os.environ["ENTITYFLOW_DOMAIN"] = str(domain)
    os.environ.setdefault("ENTITYFLOW_STACK_DIR", str(directory.resolve()))
    os.environ.setdefault("ENTITYFLOW_STATE_DIR", str(directory.resolve() / "state"))
    os.environ.setdefault("ENTITYFLOW_COVERAGE_QUIET_SECONDS", QUIET_SECONDS)
    if rounds is not None:
        os.environ["ENTITYFLOW_COVERAGE_ROUNDS"] = str(rounds)
    return load_settings(Settings)


def _harvest(path: Path, limit: int | None) -> None:
    from importlib import import_module

    from entityflow.domain import load_domain

    service = import_module("services.entity_harvester.service")
    settings = load_settings(import_module("services.entity_harvester.settings").HarvesterSettings)
    done = service.run_pass(load_domain(path), settings, limit)
    say(f"{len(done.found.entities)} entities found, {done.written} of them new or changed")


def _what_next(console: str, directory: Path) -> list[str]:
    program = "entityflow" if shutil.which("entityflow") else os.path.relpath(sys.argv[0])
    elsewhere = directory != DEFAULT_DIR and not set_by_somebody("ENTITYFLOW_STACK_DIR")
    return [
        "",
        f"console     {console}",
        f"            it and the servers go on running; {program} down stops them",
        "",
        "next:",
        *([f"  export ENTITYFLOW_STACK_DIR={directory.resolve()}"] if elsewhere else []),
        f"  {program} topics tail outcome --limit 5",
        f"  {program} shards pull ./pairs",
        f"  {program} model pull ./model",
    ]
