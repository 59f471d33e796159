"""`entityflow benchmark replay`: takes out of training what a benchmark has that was added later."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from entityflow.admin import Admin
from entityflow.cli.output import print_json, print_table, say
from entityflow.cli.servers import require
from entityflow.errors import UserError
from entityflow.records import Amend, Match
from entityflow.settings import Settings, load_settings
from entityflow.stage import Send, produce_all, read_topic
from services.index.replay import DECONTAMINATE, Finding, findings
from services.index.settings import IndexSettings

PLACE = ("fingerprint", 0)
LOOK_SECONDS = 0.5


def replay(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; write nothing.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the index to catch up.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Find accepted pictures that are too near to a benchmark's or to a held-out one, and amend them.

    They leave with the next `entityflow shards rewrite`. What was amended before is not amended again.

    Example: entityflow benchmark replay --dry-run
    """
    settings = load_settings(IndexSettings)
    require(settings, "kafka")
    _wait_for_the_index(settings, timeout)
    found = list(findings(lambda: _answers(settings), settings.cuts()))
    known = _amended(settings)
    new = [finding for finding in found if (finding.image_id, finding.reason) not in known]
    if not dry_run:
        produce_all("cli", settings, (Send("amend", finding.amend()) for finding in new), ["amend"])
    _show(found, len(new), dry_run, as_json)


def _show(found: list[Finding], new: int, dry_run: bool, as_json: bool) -> None:
    counts = Counter((one.reason, one.name) for one in found)
    if as_json:
        rows = [{"reason": reason, "name": name, "count": count} for (reason, name), count in counts.most_common()]
        print_json({"found": len(found), "new": new, "dry_run": dry_run, "counts": rows, **_samples(found)})
        return
    print_table(("reason", "name", "count"), [(*what, count) for what, count in counts.most_common()])
    say(f"{len(found)} found, {new} of them new" + (": nothing was written" if dry_run else ", amended"))


def _samples(found: list[Finding]) -> dict[str, list[dict[str, object]]]:
    return {"samples": [asdict(one) for one in sorted(found, key=lambda one: one.image_id)]}


def _wait_for_the_index(settings: Settings, timeout: float) -> None:
    """Until it has answered all that is in the log now, a benchmark that was just added among it."""
    admin = Admin(settings)
    end, until = admin.ends([PLACE])[PLACE], time.monotonic() + timeout
    while (left := end - admin.committed("index", "fingerprint").get(0, 0)) > 0:
        if time.monotonic() >= until:
            raise UserError(f"the index has {left} fingerprints left", hint="is it running? entityflow run index")
        time.sleep(LOOK_SECONDS)


def _answers(settings: Settings) -> Iterator[Match]:
    return (record for _, record in read_topic(settings, "match") if isinstance(record, Match))


def _amended(settings: Settings) -> set[tuple[str, str | None]]:
    return {
        (record.image_id, record.reason)
        for _, record in read_topic(settings, "amend")
        if isinstance(record, Amend) and record.kind == DECONTAMINATE
    }
