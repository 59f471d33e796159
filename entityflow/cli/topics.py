"""`entityflow topics`: what lies on the broker, and the records in it, which no other tool can decode."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entityflow.cli.output import print_json, print_table, say
from entityflow.cli.servers import settings_with
from entityflow.errors import UsageError
from entityflow.settings import Settings
from entityflow.topics import DLQ_SUFFIX, Topic, load_topics

if TYPE_CHECKING:
    from entityflow.records import Record
    from entityflow.stage import Message

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Name = Annotated[str, typer.Argument(help="A topic, without the prefix.")]

app = typer.Typer(no_args_is_help=True, help="Create, list, describe and tail topics.")


@app.command()
def create(as_json: AsJson = False) -> None:
    """Create every topic that is missing, and offset 0 for its groups.

    Example: entityflow topics create
    """
    from entityflow.admin import create_topics

    made = create_topics(settings_with("kafka"))
    if as_json:
        print_json({"created": made})
        return
    for name in made:
        print(name)
    say(f"{len(made)} topics created" if made else "every topic exists already")


@app.command("list")
def list_topics(as_json: AsJson = False) -> None:
    """Records ever written, and what each group has left.

    Example: entityflow topics list --json
    """
    from entityflow.progress import Observer

    progress = Observer(settings_with("kafka")).look()
    rows: list[dict[str, Any]] = []
    for name, topic in load_topics().items():
        ends = [end for (of, _), end in progress.ends.items() if of == name]
        left = {group.name: progress.left[group.name, name] for group in topic.groups}
        rows.append({"topic": name, "partitions": len(ends), "records": sum(ends), "left": left})
    if as_json:
        print_json({"topics": rows})
        return
    print_table(
        ["topic", "partitions", "records", "left"],
        [[row["topic"], row["partitions"], row["records"], _left(row["left"])] for row in rows],
    )


def _left(left: Any) -> str:
    return ", ".join(f"{group} {count}" for group, count in left.items())


@app.command()
def describe(topic: Name, as_json: AsJson = False) -> None:
    """What a topic is for, as topics.yaml says, and its offsets on the broker.

    Example: entityflow topics describe url
    """
    from entityflow.admin import Admin

    found = _known(topic)
    settings = settings_with("kafka")
    admin = Admin(settings)
    places = [(found.name, partition) for partition in range(admin.partitions([found.name]).get(found.name, 0))]
    starts, ends = admin.starts(places), admin.ends(places)
    committed = {group.name: admin.committed(group.name, found.name) for group in found.groups}
    partitions = [
        {
            "partition": place[1],
            "start": starts[place],
            "end": ends[place],
            "committed": {group: offsets.get(place[1]) for group, offsets in committed.items()},
        }
        for place in places
    ]
    if as_json:
        print_json({**_written_down(found), "partitions": partitions})
        return
    for key, value in _written_down(found).items():
        say(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
    print_table(
        ["partition", "start", "end", *committed],
        [[place[1], starts[place], ends[place], *(of.get(place[1]) for of in committed.values())] for place in places],
    )


def _written_down(topic: Topic) -> dict[str, Any]:
    return {
        "topic": topic.name,
        "key": topic.key,
        "records": list(topic.records),
        "cleanup": topic.cleanup,
        "retention_days": topic.retention_days,
        "max_message_bytes": topic.max_message_bytes,
        "writers": list(topic.writers),
        "groups": [group.name for group in topic.groups],
    }


@app.command()
def tail(
    topic: Name,
    limit: Annotated[int, typer.Option(min=1, help="At most this many records, the newest.")] = 10,
    where: Annotated[list[str] | None, typer.Option(help="FIELD=VALUE; inner fields with dots. Repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """The newest records of a topic, decoded; pictures are shown as their size.

    With --where the whole topic is searched; else only its end is read.

    Example: entityflow topics tail outcome --where result=merged --limit 5
    """
    from entityflow.codec import to_json

    name = topic.removesuffix(DLQ_SUFFIX)
    dead_letters = topic != name
    _known(name)
    wanted = [_condition(text) for text in where or ()]
    found = []
    for message, record in _newest(settings_with("kafka"), topic, None if wanted else limit):
        plain = to_json(record) if record is not None else None
        if all(_value(plain, field) == value for field, value in wanted):
            found.append(_shown(message, record, plain, dead_letters))
            del found[:-limit]
    if as_json:
        print_json({"topic": topic, "records": found})
        return
    for row in found:
        print(f"{row['partition']}:{row['offset']}\t{row['key']}\t{row['type']}\t{_one_line(row)}")


def _newest(settings: Settings, topic: str, limit: int | None) -> Iterator[tuple[Message, Record | None]]:
    """The last `limit` records by time; all of them in order of partitions without a limit."""
    from entityflow.admin import Admin, require_topics
    from entityflow.stage import read_topic

    require_topics(settings, [topic])
    if limit is None:
        yield from read_topic(settings, topic)
        return
    admin = Admin(settings)
    places = [(topic, partition) for partition in range(admin.partitions([topic])[topic])]
    starts, ends = admin.starts(places), admin.ends(places)
    begin = {place[1]: max(starts[place], ends[place] - limit) for place in places}
    found = sorted(read_topic(settings, topic, begin), key=lambda item: (item[0].timestamp_ms, item[0].offset))
    yield from islice(found, max(0, len(found) - limit), None)


def _shown(message: Message, record: Record | None, plain: Any, dead_letter: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "partition": message.partition,
        "offset": message.offset,
        "timestamp_ms": message.timestamp_ms,
        "key": (message.key or b"").decode("utf-8", "replace"),
        "type": type(record).__name__ if record is not None else ("deleted" if message.value is None else "bytes"),
        "record": plain if plain is not None else f"<{len(message.value or b'')} bytes>",
    }
    if dead_letter:
        row["dead_letter"] = {
            name: value.decode("utf-8", "replace")
            for name, value in message.headers.items()
            if name.startswith("dlq-") and name != "dlq-stack"
        }
    return row


def _one_line(row: dict[str, Any]) -> str:
    from json import dumps

    record = row["record"]
    if isinstance(record, dict):
        record = {key: value for key, value in record.items() if value not in (None, [], {})}
    text = dumps(record, ensure_ascii=False)
    return text if "dead_letter" not in row else f"{row['dead_letter'].get('dlq-reason')}\t{text}"


def _condition(text: str) -> tuple[list[str], str]:
    field, equals, value = text.partition("=")
    if not equals or not field:
        raise UsageError(f"--where {text!r} is not FIELD=VALUE", hint="for instance --where result=accepted")
    return field.split("."), value


def _value(plain: Any, path: list[str]) -> str | None:
    for part in path:
        plain = plain.get(part) if isinstance(plain, dict) else None
    if plain is None:
        return ""
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def _known(name: str) -> Topic:
    """The topic of a name. Raises UsageError with the nearest one."""
    topics = load_topics()
    if name not in topics:
        near = get_close_matches(name, topics, n=1)
        raise UsageError(f"no topic {name!r}", hint=f"did you mean {near[0]}?" if near else f"{', '.join(topics)}")
    return topics[name]
