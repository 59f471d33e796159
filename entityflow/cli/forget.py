"""`entityflow forget`: what must leave the shards and never come back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entityflow.cli.output import print_json, print_table, say
from entityflow.cli.servers import settings_with
from entityflow.errors import UsageError

if TYPE_CHECKING:
    from entityflow.forgetting import Forgotten

Texts = list[str] | None


def forget(
    sha256: Annotated[Texts, typer.Option(help="Key of a sample: SHA-256 of the file as downloaded.")] = None,
    url: Annotated[Texts, typer.Option(help="Address of a picture, and where it redirected to.")] = None,
    page: Annotated[Texts, typer.Option(help="Address of a page: every picture that it showed.")] = None,
    host: Annotated[Texts, typer.Option(help="A host and its subdomains: their pictures and pages.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    trim: Annotated[bool, typer.Option("--trim", help="Delete finished pictures from Kafka now.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Forget pictures, addresses, pages or hosts for good; every option may be repeated.

    From now on the fetcher asks for nothing of it and the filter passes nothing on. A sample goes when its picture or
    its first source is forgotten; else it only loses that source. `entityflow shards rewrite` takes both out of the
    shards. Only a hash is kept. docs/forgetting.md lists every place that is cleared, and when.

    Example: entityflow forget --host images.example.org --dry-run
    """
    options = {"sha256": sha256, "url": url, "page": page, "host": host}
    named = [(kind, text) for kind, texts in options.items() for text in texts or ()]
    if not named:
        raise UsageError("nothing to forget is named", hint="--sha256, --url, --page or --host")
    if trim and dry_run:
        raise UsageError("--trim and --dry-run cannot go together", hint="choose one of them")
    document = _forget(named, dry_run, trim)
    if as_json:
        print_json(document)
    else:
        _show(document)


def _forget(named: list[tuple[str, str]], dry_run: bool, trim: bool) -> dict[str, Any]:
    from entityflow import forgetting
    from entityflow.tombstones import tombstone_of
    from entityflow.trim import trim as delete_finished

    now = time.time()
    for kind, text in named:
        tombstone_of(kind, text, now)
    settings = settings_with("kafka", "s3")
    done = forgetting.forget(settings, forgetting.tombstones_for(settings, named, now), dry_run)
    return {"dry_run": dry_run, **_counts(done), "trimmed": delete_finished(settings) if trim else 0}


def _counts(done: Forgotten) -> dict[str, Any]:
    """What a script reads; sources are those of samples that stay."""
    touched = done.touched
    return {
        "tombstones": [{"id": one.id, "kind": one.kind, "value": one.value} for one in done.tombstones],
        "known": done.known,
        "samples": touched.sample_count,
        "sources": sum(touched.sources.values()),
        "waiting": touched.waiting,
        "searches": len(done.searches),
        "addresses": done.addresses,
        "examples": done.examples,
        "shards": [
            {"shard_id": one, "samples": touched.samples.get(one, []), "sources": touched.sources.get(one, 0)}
            for one in touched.shards
        ],
    }


def _show(document: dict[str, Any]) -> None:
    shards = document["shards"]
    print_table(["shard_id", "samples", "sources"], [[s["shard_id"], len(s["samples"]), s["sources"]] for s in shards])
    would = "would go" if document["dry_run"] else "to go"
    say(
        f"{would}: {document['samples']} samples and {document['sources']} sources of other samples in {len(shards)} "
        f"shards, {document['waiting']} pairs that are in no shard yet"
    )
    cleared = (
        f"{document['searches']} kept searches, {document['addresses']} known addresses, "
        f"{document['examples']} example pictures"
    )
    if document["dry_run"]:
        say(f"would clear: {cleared}")
        return
    say(f"cleared: {cleared}")
    say(f"{len(document['tombstones'])} tombstones written, {document['known']} were there: refused from now on")
    if shards or document["waiting"]:
        say("next: entityflow shards rewrite")
