"""`entityflow harvest`: one pass over the graph, or a look at what it would bring. Imports wait until it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from services.entity_harvester.harvest import Harvest

SCHEMA = 1


def command(
    domain: Annotated[Path | None, typer.Option(help="The domain file; else ENTITYFLOW_DOMAIN.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the N most popular entities.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Read a domain's entities from the knowledge graph and write what is new, changed or gone.

    Example: entityflow harvest --domain domains/demo.yaml --limit 20 --dry-run
    """
    from entityflow.domain import load_domain
    from entityflow.logs import configure_logs
    from entityflow.settings import load_settings
    from services.entity_harvester.service import look, run_pass
    from services.entity_harvester.settings import HarvesterSettings

    settings = load_settings(HarvesterSettings)
    configure_logs(settings.log_level, settings.log_format, "entity_harvester")
    path = domain or settings.domain
    if path is None:
        raise typer.BadParameter("--domain FILE is wanted (or ENTITYFLOW_DOMAIN)")
    loaded = load_domain(path)
    if dry_run:
        found = look(loaded, settings, limit, [])
        document: dict[str, Any] = {"written": 0, "knowledge": None}
    else:
        done = run_pass(loaded, settings, limit)
        found, changes = done.found, done.changes
        document = {
            "written": done.written,
            "new": len(changes.new),
            "changed": len(changes.changed),
            "retired": [entity.id for entity in changes.retired],
            "knowledge": done.version,
        }
    if as_json:
        print(json.dumps({**describe(found), **document}, ensure_ascii=False))
        return
    for entity in found.entities:
        kind = entity.natural_type.label if entity.natural_type else "-"
        print(f"{entity.id}\t{entity.label}\t{kind}\t{entity.sitelinks}")
    typer.echo(
        f"{len(found.entities)} entities of {found.members} below the roots, {len(found.unnamed)} without a label,"
        f" {document['written']} written",
        err=True,
    )


def describe(found: Harvest) -> dict[str, Any]:
    """The JSON document of a harvest. An item that the graph has no word for has the label null, and is not written."""
    from entityflow.codec import to_json

    named = [{**to_json(entity), "outcome": "ok"} for entity in found.entities]
    unnamed = [_unnamed(item, above) for item, above in found.unnamed.items()]
    return {"schema": SCHEMA, "members": found.members, "entities": [*named, *unnamed]}


def _unnamed(item: str, above: dict[str, int]) -> dict[str, Any]:
    parents = [{"id": one, "label": None, "depth": depth} for one, depth in above.items()]
    return {"id": item, "label": None, "parents": parents, "outcome": "skipped", "reason": "no-label"}
