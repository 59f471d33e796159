"""`entityflow plan`: what a domain will take, before anything is asked but how many entities it has."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entityflow.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from entityflow.domain import Domain
    from entityflow.planning import Assumptions, Plan

MEGABIT_BYTES = 125_000
UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def plan(
    path: Annotated[Path, typer.Argument(metavar="DOMAIN", help="A domain file.")],
    entities: Annotated[int | None, typer.Option(min=1, help="How many; else the graph is asked.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody: take limits.entities.")] = False,
    fetchers: Annotated[int, typer.Option(min=1, help="Fetchers that will run.")] = 1,
    megabits: Annotated[float, typer.Option(min=0.1, help="Bandwidth in Mbit/s.")] = 100.0,
    accepted_share: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Of the candidates.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Entities, queries, requests, money, bytes and hours of a domain, what limits it, and what was assumed.

    Example: entityflow plan domains/entitynet.yaml --offline
    """
    from entityflow.chosen_providers import chosen_providers
    from entityflow.domain import load_domain
    from entityflow.planning import Assumptions, make_plan

    domain = load_domain(path)
    assumed = replace(Assumptions(), fetchers=float(fetchers), bandwidth_bytes=megabits * MEGABIT_BYTES)
    if accepted_share is not None:
        assumed = replace(assumed, accepted_share=accepted_share)
    count, source = _entities(domain, entities, offline)
    made = make_plan(domain, chosen_providers(domain), count, assumed)
    if as_json:
        print_json(document(made, assumed, source))
        return
    _tell(domain, made, assumed, source)


def _entities(domain: Domain, given: int | None, offline: bool) -> tuple[int, str]:
    """How many entities, and where that is from. Raises UsageError where nothing says it."""
    from entityflow.errors import UsageError
    from entityflow.settings import load_settings
    from services.entity_harvester.members import count_members
    from services.entity_harvester.settings import HarvesterSettings
    from services.entity_harvester.sparql import Sparql

    if given is not None:
        return given, "--entities"
    settings = load_settings(HarvesterSettings)
    limit = domain.limits.entities
    if not offline and settings.sparql_endpoint:
        found = count_members(domain, Sparql(settings))
        source = f"counted at {settings.sparql_endpoint}"
        return (found, source) if limit is None or found <= limit else (limit, f"limits.entities; {found} {source}")
    if limit is None:
        raise UsageError(
            f"{domain.name} has no limits.entities, and no graph is asked",
            hint="--entities N, or ENTITYFLOW_SPARQL_ENDPOINT (and no --offline)",
        )
    return limit, "limits.entities"


def document(made: Plan, assumed: Assumptions, source: str) -> dict[str, Any]:
    """The JSON shape: fields are only added."""
    return {
        "entities": made.entities,
        "entities_from": source,
        "queries": round(made.queries),
        "requests": round(made.requests),
        "dollars": round(made.dollars, 2),
        "candidates": round(made.candidates),
        "pairs": round(made.pairs),
        "downloaded_bytes": round(made.downloaded_bytes),
        "stored_bytes": round(made.stored_bytes),
        "topic_bytes": round(made.topic_bytes),
        "hours": {what: round(hours, 2) for what, hours in made.hours.items()},
        "binding": made.binding,
        "providers": [
            {
                "name": one.name,
                "queries": round(one.queries),
                "requests": round(one.requests),
                "candidates": round(one.candidates),
                "dollars": round(one.dollars, 2),
                "hours": round(one.search_hours, 2),
                "capped": one.capped,
            }
            for one in made.providers
        ],
        "assumptions": [
            {"name": item.name, "value": getattr(assumed, item.name), "why": item.metadata["why"]}
            for item in fields(assumed)
        ],
    }


def _tell(domain: Domain, made: Plan, assumed: Assumptions, source: str) -> None:
    rows = [
        ("entities", f"{made.entities:,}", source),
        ("queries", f"{made.queries:,.0f}", f"{made.queries / made.entities:.1f} an entity"),
        ("requests", f"{made.requests:,.0f}", "pages of search results"),
        ("money", f"${made.dollars:,.2f}", "for searching"),
        ("candidates", f"{made.candidates:,.0f}", ""),
        ("pairs", f"{made.pairs:,.0f}", f"{assumed.accepted_share:.0%} of the candidates"),
        ("downloads", size(made.downloaded_bytes), ""),
        ("shards", size(made.stored_bytes), "in the bucket"),
        ("topics", size(made.topic_bytes), "on the broker at most, three days of pictures"),
        ("time", duration(made.hours[made.binding]), f"bound by {made.binding}"),
    ]
    print_table(["what", "how much", "note"], rows)
    print()
    print_table(
        ["provider", "queries", "requests", "candidates", "money", "search time"],
        [
            [
                one.name + (" (capped)" if one.capped else ""),
                f"{one.queries:,.0f}",
                f"{one.requests:,.0f}",
                f"{one.candidates:,.0f}",
                f"${one.dollars:,.2f}",
                duration(one.search_hours),
            ]
            for one in made.providers
        ],
    )
    print()
    longest = sorted(made.hours.items(), key=lambda item: -item[1])
    print_table(["what takes how long", "time"], [[what, duration(hours)] for what, hours in longest if hours > 0])
    say("")
    for item in fields(assumed):
        say(f"assumed: {getattr(assumed, item.name):g} {item.metadata['why']}")


def size(count: float) -> str:
    """`1.2 TB`."""
    for unit, name in UNITS:
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count:,.0f} bytes"


def duration(hours: float) -> str:
    """`12 min`, `3.5 h`, `41 days`."""
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:,.0f} days"
