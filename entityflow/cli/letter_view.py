"""A dead letter for people and scripts: what came from strangers is stripped of control codes and cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from entityflow.codec import decode, to_json
from entityflow.errors import CodecError
from entityflow.letters import Letter
from entityflow.moments import shown
from entityflow.printable import printable, printable_bytes, printable_json, printable_lines

VALUE_CHARACTERS = 2000
HEADER_CHARACTERS = 300
STACK_CHARACTERS = 8192
FIRST_BYTES = 64


def document(letter: Letter, replayed_at: float | None) -> dict[str, Any]:
    """The JSON shape of a letter: fields are only added."""
    message, original = letter.message, letter.original
    kind, record = _record(message.value)
    return {
        "topic": letter.topic,
        "partition": original[1] if original else None,
        "offset": original[2] if original else None,
        "letter": {"partition": message.partition, "offset": message.offset},
        "at": shown(letter.at),
        "replayed": None if replayed_at is None else shown(replayed_at),
        "reason": printable(letter.reason, HEADER_CHARACTERS),
        "error": printable(letter.error_class, HEADER_CHARACTERS),
        "message": printable(letter.told("error-message") or "", VALUE_CHARACTERS),
        "stack": printable_lines(letter.told("stack") or "", STACK_CHARACTERS),
        "service": _told(letter, "service"),
        "group": _told(letter, "group"),
        "stage": _told(letter, "stage"),
        "attempts": letter.attempts,
        "about": {
            printable(name, HEADER_CHARACTERS): printable_bytes(value, HEADER_CHARACTERS)
            for name, value in message.headers.items()
            if name.startswith("dlq-") and name not in ("dlq-stack", "dlq-error-message")
        },
        "headers": {
            printable(name, HEADER_CHARACTERS): printable_bytes(value or b"", HEADER_CHARACTERS)
            for name, value in letter.own_headers
        },
        "key": None if message.key is None else printable_bytes(message.key, HEADER_CHARACTERS),
        "bytes": None if message.value is None else len(message.value),
        "type": kind,
        "value": record,
    }


def _told(letter: Letter, name: str) -> str | None:
    text = letter.told(name)
    return None if text is None else printable(text, HEADER_CHARACTERS)


def _record(value: bytes | None) -> tuple[str, Any]:
    """The name of the record and its fields; of bytes that are none of ours, the first ones in hex."""
    if value is None:
        return "deleted", None
    try:
        record = decode(value)
    except CodecError:
        return "bytes", {"hex": value[:FIRST_BYTES].hex(), "text": printable_bytes(value[:FIRST_BYTES])}
    return type(record).__name__, printable_json(to_json(record), VALUE_CHARACTERS)


def lines(letter: dict[str, Any]) -> Iterator[str]:
    """The same for people, from the document of a letter."""
    yield f"{letter['topic']} {letter['partition']}:{letter['offset']}  {letter['reason']} ({letter['error']})"
    yield f"  {letter['message']}"
    again = f", sent back {letter['replayed']}" if letter["replayed"] else ""
    yield f"  dead since {letter['at']}, {letter['attempts']} attempts, in {letter['service']} {letter['stage']}{again}"
    for name, value in {**letter["about"], **letter["headers"]}.items():
        yield f"  {name}: {value}"
    yield f"  key: {letter['key']}"
    yield f"  {letter['type']}, {letter['bytes']} bytes: {json.dumps(letter['value'], ensure_ascii=False)}"
    yield from (f"    {line}" for line in letter["stack"].splitlines())
