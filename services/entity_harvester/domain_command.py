"""`entityflow domain`: look at a domain file: what is wrong with it, what it does not cover, its JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from entityflow.cli.output import print_json, print_table, say

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
File = Annotated[Path, typer.Argument(metavar="DOMAIN", help="A domain file.")]

app = typer.Typer(no_args_is_help=True, help="Check a domain file, find what it does not cover.")


@app.command()
def check(path: File) -> None:
    """Every mistake of a domain file at once, each with its line.

    Example: entityflow domain check domains/demo.yaml
    """
    from entityflow.domain import load_domain

    domain = load_domain(path)
    say(f"{path}: {domain.name}, {len(domain.roots)} roots, {len(domain.providers)} providers; nothing is wrong")


@app.command()
def schema() -> None:
    """The JSON Schema of domain files, for editors.

    Example: entityflow domain schema
    """
    from entityflow.domain import Domain

    print(json.dumps(Domain.model_json_schema(), indent=2, ensure_ascii=False))


@app.command()
def suggest(
    path: File,
    below: Annotated[list[str] | None, typer.Option(help="Only classes below this QID. Repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 30,
    min_sitelinks: Annotated[int, typer.Option(min=0, help="Popular is from here on.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Popular classes of the graph that the domain does not cover yet, most popular first.

    Take one into roots, or into considered: then it is not suggested again. What is left at last is uninteresting.

    Example: entityflow domain suggest domains/entitynet.yaml --limit 20
    """
    from entityflow.domain import load_domain
    from entityflow.errors import UsageError
    from entityflow.settings import load_settings
    from services.entity_harvester.init_command import QID
    from services.entity_harvester.settings import HarvesterSettings
    from services.entity_harvester.sparql import Sparql
    from services.entity_harvester.suggesting import suggest as suggestions

    for item in below or ():
        if not QID.match(item):
            raise UsageError(f"--below {item!r} is no QID such as Q729")
    domain = load_domain(path)
    found = suggestions(domain, Sparql(load_settings(HarvesterSettings)), below or [], limit, min_sitelinks)
    if as_json:
        rows = [{"id": one.id, "label": one.label, "sitelinks": one.sitelinks, "members": one.members} for one in found]
        print_json({"suggestions": rows})
        return
    print_table(
        ["class", "label", "sitelinks", "members"],
        [[one.id, one.label or "-", one.sitelinks, one.members] for one in found],
    )
    if not found:
        say("everything popular is covered")
