"""`entityflow retry`: candidates that failed, sent into the line once more."""

from __future__ import annotations

import time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from entityflow.cli.output import print_json, say
from entityflow.cli.servers import settings_with
from entityflow.errors import UsageError
from entityflow.moments import moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entityflow.resending import Rate
    from entityflow.settings import Settings
    from entityflow.stage import Send

WHY_NOT = {
    "under-way": "are under way already",
    "gone": "are no longer on the topic url",
    "no-address": "have no address that can be fetched",
}


def retry(
    reason: Annotated[str, typer.Option(help="The reason they ended with; docs/reasons.md has all of them.")],
    host: Annotated[str | None, typer.Option(help="Only addresses at this host or below it.")] = None,
    since: Annotated[str | None, typer.Option(help="Failed since: a date, a time (UTC), or how long ago.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="At most this many a second.")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Ask a site again that has refused.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Send failed candidates again: their addresses are really asked, whatever is known of them.

    They keep their ids and count once: by the old reason until the new try has ended. Politeness and permission hold
    as for any address. Candidates that are under way already are not sent twice.

    Example: entityflow retry --reason timeout --host pictures.example --since 2d --dry-run
    """
    from entityflow.resending import Rate

    _check(reason, refused)
    earliest = None if since is None else moment(since, "--since", time.time())
    settings = settings_with("kafka")
    found, sends, left_out = _find(settings, reason, host, earliest)
    chosen = sends[:limit]
    sent = 0 if dry_run else _send(settings, chosen, Rate(rate))
    if as_json:
        counts = {"failed": found, "chosen": len(chosen), "sent": sent}
        counts |= {why.replace("-", "_"): left_out.get(why, 0) for why in WHY_NOT}
        print_json({"reason": reason, "dry_run": dry_run, **counts})
    told = [f"{'would send' if dry_run else 'sent'} {len(chosen)} of {found} candidates that ended as {reason}"]
    say("; ".join(told + [f"{left_out[why]} {text}" for why, text in WHY_NOT.items() if left_out.get(why)]))


def _check(reason: str, refused: bool) -> None:
    """Raises UsageError for a word that no candidate ends with, and where it is not for us to ask again."""
    from entityflow.reasons import REJECTIONS
    from entityflow.retrying import REFUSALS, RETRYABLE

    if reason in REJECTIONS:
        raise UsageError(
            f"--reason {reason!r} is one of dead letters", hint=f"entityflow dlq replay --reason {reason} sends them"
        )
    if reason not in RETRYABLE:
        near = get_close_matches(reason, RETRYABLE, n=1)
        known = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"no candidate fails with --reason {reason!r}", hint=f"{known}known are {', '.join(RETRYABLE)}"
        )
    if reason in REFUSALS and not refused:
        raise UsageError(
            f"--reason {reason!r}: these sites have refused, and what they said is remembered until it expires",
            hint="with --refused each is asked once more, and ends the same unless it has changed its mind",
        )


def _find(
    settings: Settings, reason: str, host: str | None, since: float | None
) -> tuple[int, list[Send], Mapping[str, int]]:
    """How many have failed, what is to be sent, and how many cannot be, by why."""
    from entityflow.admin import require_topics
    from entityflow.records import Outcome
    from entityflow.retrying import failed_candidates, offers, retries
    from entityflow.stage import read_topic

    require_topics(settings, ["outcome", "url"])
    outcomes = (record for _, record in read_topic(settings, "outcome") if isinstance(record, Outcome))
    failed = failed_candidates(outcomes, reason, host, since)
    offered = offers(read_topic(settings, "url"), failed) if failed else {}
    return len(failed), *retries(failed, offered)


def _send(settings: Settings, sends: list[Send], rate: Rate) -> int:
    """Each chunk is acknowledged before the next; returns how many were sent."""
    from entityflow.resending import Resender

    sent = 0
    with Resender("cli", settings) as resender:
        for chunk in rate.chunks(sends):
            resender.send_records(chunk)
            sent += len(chunk)
    return sent
