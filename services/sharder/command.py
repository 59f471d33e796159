"""`entityflow shards rewrite`: what was learned after the cut, folded into the next version of the shards concerned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from entityflow.admin import Admin, require_topics
from entityflow.cli.output import print_json, say
from entityflow.cli.servers import settings_with
from entityflow.errors import LossDetected
from entityflow.objects import Objects
from entityflow.records import Record, Shard
from entityflow.settings import Settings
from entityflow.shard_leftovers import ORPHAN, Leftover, delete, leftovers, planned_files
from entityflow.stage import Send, produce_all, read_topic
from services.sharder.rewriting import Rewriting, Summary

AMENDS, TOMBSTONES, SHARDS = "amend", "tombstone", "shard"


def rewrite(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which shards would change.")] = False,
    grace_hours: Annotated[
        float, typer.Option(min=0, help="How long files of earlier versions stay; forgotten ones go at once.")
    ] = 24.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Fold merges, removals and what must be forgotten into new versions of the shards.

    To be run every night or so, and after `entityflow forget`. A run that was killed is made up for by the next.

    Example: entityflow shards rewrite --dry-run
    """
    settings = settings_with("kafka", "s3")
    objects = Objects(settings)
    folder = settings.state_dir / "rewrite" / (settings.prefix or "main")
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as own:
        summary = Rewriting(objects, KafkaLogs(settings), Path(own), folder / "tables", publishes=not dry_run).run()
    deleted = [] if dry_run else list(_without_earlier(objects, timedelta(hours=grace_hours)))
    if as_json:
        print_json({**asdict(summary), "dry_run": dry_run, "deleted": [one.key for one in deleted]})
    else:
        _show(summary, deleted, dry_run)


def _without_earlier(objects: Objects, grace: timedelta) -> Iterator[Leftover]:
    """Deletes files of replaced versions, but for those that a trainer's plan may still need."""
    planned, now = planned_files(objects), datetime.now(UTC)
    gone = (one for one in leftovers(objects) if one.why != ORPHAN and one.may_go(now, grace, planned))
    return delete(objects, gone)


def _show(summary: Summary, deleted: list[Leftover], dry_run: bool) -> None:
    for one in summary.rewritten:
        print(f"{one.shard_id}\tv{one.version}\t{one.samples} samples\t{one.changed} changed\t{one.removed} removed")
    what = "would be rewritten" if dry_run else f"rewritten, {summary.events} told, {len(deleted)} files deleted"
    say(f"{len(summary.rewritten)} shards {what}; {summary.unplaced} amends wait for their shard")
    if summary.unknown:
        say(f"warning: {summary.unknown} amends are of a kind that this version does not know, and were left alone")


class KafkaLogs:
    """The topics of the job on the broker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._uuids = require_topics(settings, [AMENDS, TOMBSTONES, SHARDS])

    def amend_uuid(self) -> str:
        return self._uuids[AMENDS]

    def tombstone_uuid(self) -> str:
        return self._uuids[TOMBSTONES]

    def tombstones(self) -> Iterator[tuple[int, str, Record | None]]:
        for message, record in read_topic(self._settings, TOMBSTONES):
            yield message.offset, (message.key or b"").decode(), record

    def amends(self, partition: int, start: int | None) -> Iterator[tuple[int, Record | None]]:
        place = (AMENDS, partition)
        first = Admin(self._settings).starts([place])[place]
        begin = first if start is None else start
        if begin < first:
            if not self._settings.accept_loss:
                raise LossDetected(
                    f"amends are gone: partition {partition} of {AMENDS} was read to {begin}, it begins at {first}",
                    hint="ENTITYFLOW_ACCEPT_LOSS=true goes on at the first one there is",
                )
            say(f"warning: {first - begin} offsets of partition {partition} of {AMENDS} are skipped as accepted")
            begin = first
        for message, record in read_topic(self._settings, AMENDS, {partition: begin}):
            yield message.offset, record

    def told(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for _, record in read_topic(self._settings, SHARDS):
            if isinstance(record, Shard):  # the last counts, as compaction keeps it
                found[record.shard_id] = record.version
        return found

    def tell(self, events: Iterable[Shard]) -> None:
        sends = [Send(SHARDS, event) for event in events]
        if sends:
            produce_all("sharder", self._settings, sends, [SHARDS])
