"""`entityflow dlq`: what our own code could not process, why, and the way back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entityflow.cli.output import print_json, print_table, say
from entityflow.cli.servers import settings_with
from entityflow.errors import UsageError
from entityflow.moments import moment, shown
from entityflow.settings import Settings
from entityflow.topics import DLQ_SUFFIX, load_topics

if TYPE_CHECKING:
    from entityflow.letters import Wanted

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
OfTopic = Annotated[list[str] | None, typer.Option("--topic", help="Only letters from this topic. Repeatable.")]
Reason = Annotated[str | None, typer.Option(help="Only this reason.")]
ErrorClass = Annotated[str | None, typer.Option("--error", help="Only this class of error.")]
Since = Annotated[str | None, typer.Option(help="Dead since: a date, a time (UTC), or how long ago (12h, 2d).")]
Until = Annotated[str | None, typer.Option(help="Dead before: the same.")]
Partition = Annotated[int | None, typer.Option(min=0, help="Partition of the original message.")]
Offset = Annotated[int | None, typer.Option(min=0, help="Offset of the original message.")]

app = typer.Typer(no_args_is_help=True, help="List, show and replay dead letters.")


@app.command("list")
def list_letters(
    topic: OfTopic = None,
    reason: Reason = None,
    error: ErrorClass = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """How many letters each topic has, by reason and class of error; when the first and the last came.

    Example: entityflow dlq list --since 2d
    """
    from entityflow.letters import counts, read_letters

    topics, wanted = _topics(topic), _wanted(reason, error, since, until)
    settings = _settings(topics)
    rows = [
        {"topic": name, **row, "first": shown(row["first"]), "last": shown(row["last"])}
        for name in topics
        for row in counts(read_letters(settings, name), wanted)
    ]
    if as_json:
        print_json({"letters": rows})
        return
    print_table(
        ["topic", "reason", "error", "count", "replayed", "first", "last"], [list(row.values()) for row in rows]
    )
    if not rows:
        say("no dead letters")


@app.command()
def show(
    topic: OfTopic = None,
    reason: Reason = None,
    error: ErrorClass = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    offset: Offset = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many letters, the newest.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Letters with their origin, error, stack, headers and content; long values are cut.

    Example: entityflow dlq show --topic url --partition 3 --offset 1204
    """
    from entityflow.cli.letter_view import document, lines
    from entityflow.letters import read_letters

    topics, wanted = _topics(topic), _wanted(reason, error, since, until, partition, offset)
    settings = _settings(topics)
    found: list[tuple[float, dict[str, Any]]] = []
    for name in topics:
        letters = read_letters(settings, name)
        matching = [letter for letter in letters if wanted.has(letter)][-limit:]
        found += [(letter.at, document(letter, letters.replayed_at(letter))) for letter in matching]
    documents = [one for _, one in sorted(found, key=lambda item: item[0])[-limit:]]
    if as_json:
        print_json({"letters": documents})
        return
    print("\n\n".join("\n".join(lines(one)) for one in documents))
    if not documents:
        say("no such dead letters")


@app.command()
def replay(
    topic: OfTopic = None,
    reason: Reason = None,
    error: ErrorClass = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    offset: Offset = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many letters, the oldest.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="At most this many a second.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Those too that were sent back before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send letters back to the topic and partition that they came from, unchanged, each once.

    Ids stay the same, so that nothing counts twice. What was sent back is remembered and passed over the next time.

    Example: entityflow dlq replay --topic url --reason undecodable --dry-run
    """
    from entityflow.letters import read_letters
    from entityflow.replaying import Chosen, choose
    from entityflow.replaying import replay as send_back
    from entityflow.resending import Rate

    topics, wanted = _topics(topic), _wanted(reason, error, since, until, partition, offset)
    settings = _settings(topics)
    chosen: dict[str, Chosen] = {}
    left = limit
    for name in topics:
        chosen[name] = choose(read_letters(settings, name), wanted, again=again, limit=left)
        left = None if left is None else left - len(chosen[name].letters)
    letters = [letter for one in chosen.values() for letter in one.letters]
    sent = 0 if dry_run else send_back(settings, letters, Rate(rate))
    before, homeless = sum(one.before for one in chosen.values()), sum(one.homeless for one in chosen.values())
    by_topic = {name: len(one.letters) for name, one in chosen.items() if one.letters}
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "chosen": len(letters),
                "replayed": sent,
                "replayed_before": before,
                "without_origin": homeless,
                "topics": by_topic,
            }
        )
    say(_told(len(letters), by_topic, before, homeless, dry_run))


def _told(count: int, by_topic: dict[str, int], before: int, homeless: int, dry_run: bool) -> str:
    where = f" ({', '.join(f'{name} {number}' for name, number in by_topic.items())})" if by_topic else ""
    text = f"{'would send back' if dry_run else 'sent back'} {count} letters{where}"
    if before:
        text += f"; {before} were sent back before: --again sends them once more"
    if homeless:
        text += f"; {homeless} name no original and stay"
    return text


def _topics(asked: Sequence[str] | None) -> list[str]:
    """The topics with dead letters that are meant, without the suffix. Raises UsageError with the nearest name."""
    known = [name for name, topic in load_topics().items() if topic.dead_letters]
    names = list(dict.fromkeys(name.removesuffix(DLQ_SUFFIX) for name in asked or known))
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"--topic {name!r} has no dead letters", hint=hint)
    return names


def _wanted(
    reason: str | None,
    error: str | None,
    since: str | None,
    until: str | None,
    partition: int | None = None,
    offset: int | None = None,
) -> Wanted:
    from entityflow.letters import Wanted

    now = time.time()
    return Wanted(
        reason=reason,
        error=error,
        since=None if since is None else moment(since, "--since", now),
        until=None if until is None else moment(until, "--until", now),
        partition=partition,
        offset=offset,
    )


def _settings(topics: Sequence[str]) -> Settings:
    """Raises UserError where the broker or one of the dead-letter topics is missing."""
    from entityflow.admin import require_topics

    settings = settings_with("kafka")
    require_topics(settings, [load_topics()[name].dlq for name in topics])
    return settings
