"""`entityflow init`: a domain file to begin with, every section explained, labels looked up in the graph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entityflow.cli.output import say

if TYPE_CHECKING:
    from services.entity_harvester.sparql import Sparql

QID = re.compile(r"Q[1-9][0-9]*\Z")
NAME = re.compile(r"[a-z][a-z0-9-]*\Z")

TEXT = """\
# What to harvest, how to ask for it, and what to keep. docs/domains.md explains every section.
name: {name}

roots: # everything below these classes is an entity; the classes themselves are not
{roots}

relations: # how one gets from an entity up to a root
  closure: [P279, P171] # subclass of, parent taxon: followed any number of times
  instance_of: null # P31 takes single things too (this building, that painting), not only kinds of things

filters:
  image: true # only what has a picture in the graph: it can be seen
  min_sitelinks: 3 # how many Wikipedias write about it: less takes more and rarer entities
  exclude: # neither these nor what lies below them
    - {{id: Q5, label: human}}
    - {{id: Q24334299, label: legendary creature}}

limits:
  entities: 500 # the most popular ones
  pairs_per_entity: 50 # coverage calls this enough and stops searching

languages: [en] # of names and queries, in order of preference

natural_types: [] # what a person would call the kinds: {{id: Q7377, label: mammal}}; the nearest above an entity counts

queries:
  kinds: [noun, attribute-noun]
  natural_type: ambiguous # "crane bird" where something else is called crane too
  attributes: [close-up] # "close-up barn owl"
  none_of: [drawing, clipart, illustration, cartoon]
  budget: 30 # candidates a query
  rounds: 1 # how often more may be searched where pairs are missing

providers: # asked in this order until the budget is filled; `entityflow plan` says what they cost (docs/providers.md)
  - wikidata-image
  - commons-depicts
  - commons

heldout_share: 0.002 # of the pictures are kept for evaluation
"""


def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The domain file to write.")],
    root: Annotated[list[str], typer.Option(help="QID of a class, such as Q25222. Repeatable.")],
    name: Annotated[str | None, typer.Option(help="Of the domain; else the file's name.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Look no labels up.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented domain file for some classes of the knowledge graph.

    Example: entityflow init owls.yaml --root Q25222
    """
    from entityflow.domain import load_domain

    _check(path, root, name, force)
    labels = {} if offline else _labels(root)
    lines = "\n".join(_root(one, labels.get(one)) for one in dict.fromkeys(root))
    path.write_text(TEXT.format(name=name or domain_name(path), roots=lines), encoding="utf-8")
    load_domain(path)
    say(f"{path} is written; next: entityflow plan {path}, then entityflow grow {path}")


def _check(path: Path, roots: Sequence[str], name: str | None, force: bool) -> None:
    from entityflow.errors import UsageError

    for one in roots:
        if not QID.match(one):
            raise UsageError(
                f"--root {one!r} is no QID such as Q25222", hint="the item's page on wikidata.org shows it"
            )
    if name is not None and not NAME.match(name):
        raise UsageError(f"--name {name!r} is not lower-case letters, digits and '-'")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="another name, or --force to write over it")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}")


def domain_name(path: Path) -> str:
    """From a file's name: what a domain may be called."""
    plain = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    return plain if NAME.match(plain) else f"domain-{plain}".rstrip("-")


def _labels(roots: Sequence[str]) -> dict[str, str]:
    """What the graph calls the roots; without an endpoint nothing. Raises UsageError for one that it does not know."""
    from entityflow.errors import UsageError
    from entityflow.settings import load_settings
    from services.entity_harvester.settings import HarvesterSettings
    from services.entity_harvester.sparql import Sparql

    settings = load_settings(HarvesterSettings)
    if not settings.sparql_endpoint:
        say("no SPARQL endpoint is set, so no labels are looked up (ENTITYFLOW_SPARQL_ENDPOINT)")
        return {}
    found = read_labels(Sparql(settings), list(dict.fromkeys(roots)))
    for one in roots:
        if one not in found:
            raise UsageError(
                f"--root {one}: {settings.sparql_endpoint} knows no such item", hint="--offline takes it as it is"
            )
    return found


def read_labels(sparql: Sparql, items: Sequence[str]) -> dict[str, str]:
    """The best label of each item that has one."""
    from services.entity_harvester.labels import best_label
    from services.entity_harvester.names import read_names

    names = read_names(sparql, [], list(items), ["en"])
    found = {item: best_label(item, names.labels[item], ["en"]) for item in items}
    return {item: label.value for item, label in found.items() if label is not None}


def _root(item: str, label: str | None) -> str:
    return f"  - {{id: {item}, label: {_quoted(label)}}}" if label else f"  - {item}"


def _quoted(label: str) -> str:
    """As YAML takes it in braces."""
    return label if re.fullmatch(r"[\w][\w '()-]*", label) else "'" + label.replace("'", "''") + "'"
