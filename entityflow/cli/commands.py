"""Every command: its name, where it lives, and its line in the help. Nothing here is imported before it is called."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.main import get_command

from entityflow.cli.group import Entry, lazy_group

STACK = "The local stack"
LINE = "The line"
LOOK = "Looking"
PRODUCT = "Shards and models"

COMMANDS = {
    "demo": Entry("entityflow.cli.grow", "demo", "Grow the demo domain end to end on this machine.", LINE),
    "grow": Entry("entityflow.cli.grow", "grow", "Grow a domain: up, harvest, services, seal, train, report.", LINE),
    "run": Entry("entityflow.cli.run", "run", "Run services in the foreground.", LINE),
    "init": Entry("services.entity_harvester.init_command", "init", "Write a commented domain file.", LINE),
    "domain": Entry("services.entity_harvester.domain_command", "app", "Check a domain file; what it lacks.", LINE),
    "plan": Entry("services.entity_harvester.plan_command", "plan", "What a domain takes, and what limits it.", LINE),
    "harvest": Entry("services.entity_harvester.command", "command", "Read a domain's entities from its graph.", LINE),
    "import": Entry("entityflow.cli.import_list", "import_list", "Send a list of addresses into the line.", LINE),
    "wait": Entry("entityflow.cli.wait", "wait", "Wait until everything has run through, then seal.", LINE),
    "seal": Entry("entityflow.cli.seal", "seal", "Close the open shards.", LINE),
    "up": Entry("entityflow.cli.stack", "up", "Start the local stack: Kafka, S3, SPARQL, demo web.", STACK),
    "down": Entry("entityflow.cli.stack", "down", "Stop the local stack.", STACK),
    "status": Entry("entityflow.cli.stack", "status", "What runs, and where.", STACK),
    "doctor": Entry("entityflow.cli.stack", "doctor", "Check this machine; each finding with its cure.", STACK),
    "settings": Entry("entityflow.cli.show_settings", "show_settings", "Values in force, and where from.", LOOK),
    "report": Entry("entityflow.cli.report", "report", "Counts by topic and reason, shards, model.", LOOK),
    "topics": Entry("entityflow.cli.topics", "app", "Create, list, describe and tail topics.", LOOK),
    "retry": Entry("entityflow.cli.retry", "retry", "Send failed candidates again.", LINE),
    "dlq": Entry("entityflow.cli.dlq", "app", "List, show and replay dead letters.", LOOK),
    "inspect image": Entry("services.filter.command", "inspect_image", "Scores, hashes and reason of pictures.", LOOK),
    "inspect url": Entry("services.fetcher.command", "inspect_url", "May an address be fetched, and why.", LOOK),
    "inspect text": Entry("services.filter.command", "inspect_text", "What the text rules say.", LOOK),
    "refilter": Entry("services.filter.refilter_command", "refilter", "Judge shards by the rules of today.", PRODUCT),
    "benchmark add": Entry("services.filter.benchmark_command", "add", "Keep a benchmark's pictures out.", PRODUCT),
    "benchmark list": Entry("services.filter.benchmark_command", "list_sets", "Benchmarks that were added.", PRODUCT),
    "benchmark replay": Entry("services.index.command", "replay", "Amend what a benchmark has, too.", PRODUCT),
    "shards list": Entry("entityflow.cli.shards", "list_shards", "The newest version of every shard.", PRODUCT),
    "shards verify": Entry("entityflow.cli.shards", "verify", "Read shards against what is said of them.", PRODUCT),
    "shards pull": Entry("entityflow.cli.shards", "pull", "A copy that other tools read.", PRODUCT),
    "shards rewrite": Entry("services.sharder.command", "rewrite", "Fold what was learned since the cut.", PRODUCT),
    "shards sweep": Entry("entityflow.cli.shards", "sweep", "Files that no reader needs.", PRODUCT),
    "forget": Entry("entityflow.cli.forget", "forget", "Remove a picture, address, page or host for good.", PRODUCT),
    "train": Entry("services.trainer.command", "train", "Train CLIP on shards that you have already.", PRODUCT),
    "model": Entry("services.trainer.command", "app", "List and pull models.", PRODUCT),
}

GROUP_LINES = {
    "inspect": "What the rules say of a picture, an address, a text",
    "benchmark": "Pictures that models are measured with, kept out of training",
}


def application() -> Any:
    app = typer.Typer(cls=lazy_group(COMMANDS, GROUP_LINES), add_completion=False, pretty_exceptions_enable=False)
    app.callback()(entityflow)
    return get_command(app)


def entityflow(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Grow an image-text training set from a knowledge graph, and train CLIP on it.

    First steps: `entityflow demo`, then `entityflow report`.
    """
