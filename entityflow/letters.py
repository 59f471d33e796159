"""Dead letters as values: what our own code could not process, why, and what was sent again already.

A letter is known by the place of its original message: one message that was dead-lettered twice (a process died before
its commit) is one letter. What was sent again is remembered in the dead-letter topic itself, by a message without key
and value whose header `dlq-replayed` names the originals: it lives as long as the letters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from entityflow.printable import printable
from entityflow.settings import Settings
from entityflow.stage import Message, read_messages
from entityflow.topics import DLQ_SUFFIX

REPLAYED = "dlq-replayed"
UNKNOWN = "unknown"
MAX_DIGITS = 18
SHOWN_CHARACTERS = 100

Original = tuple[str, int, int]  # topic uuid, partition, offset


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a dead-letter topic; `topic` is the one that the original was read from."""

    topic: str
    message: Message

    @property
    def original(self) -> Original | None:
        """Where the original lay; none for a message that no service of ours has put here."""
        headers = self.message.headers
        partition, offset = _number(headers.get("dlq-partition")), _number(headers.get("dlq-offset"))
        if partition is None or offset is None:
            return None
        return _text(headers.get("dlq-topic-uuid")), partition, offset

    @property
    def at(self) -> float:
        """When it became a dead letter, epoch seconds."""
        return self.message.timestamp_ms / 1000

    @property
    def reason(self) -> str:
        return _text(self.message.headers.get("dlq-reason")) or UNKNOWN

    @property
    def error_class(self) -> str:
        return _text(self.message.headers.get("dlq-error-class")) or UNKNOWN

    @property
    def attempts(self) -> int:
        """How often the original was tried in all."""
        return _number(self.message.headers.get("dlq-attempts")) or self.message.attempt + 1

    def told(self, name: str) -> str | None:
        """What the header `dlq-NAME` says."""
        value = self.message.headers.get(f"dlq-{name}")
        return None if value is None else _text(value)

    @property
    def own_headers(self) -> list[tuple[str, bytes | None]]:
        """The headers of the original exactly as they came, names that repeat and values that are missing too."""
        return [(name, value) for name, value in self.message.given_headers if not name.startswith("dlq-")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are meant; what is none is not looked at. Partition and offset are those of the original."""

    reason: str | None = None
    error: str | None = None
    since: float | None = None
    until: float | None = None
    partition: int | None = None
    offset: int | None = None

    def has(self, letter: Letter) -> bool:
        original = letter.original
        partition, offset = original[1:] if original else (None, None)
        return (
            self.reason in (None, letter.reason)
            and self.error in (None, letter.error_class)
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at < self.until)
            and self.partition in (None, partition)
            and self.offset in (None, offset)
        )


class Letters:
    """The letters of one topic, each original once, its newest letter; and which were sent again, and when."""

    def __init__(self, topic: str, messages: Iterable[Message]) -> None:
        self.replayed: dict[Original, float] = {}
        newest: dict[object, Letter] = {}
        for message in messages:
            if REPLAYED in message.headers:
                self.replayed.update(dict.fromkeys(_originals(message), message.timestamp_ms / 1000))
            else:
                letter = Letter(topic, message)
                place = letter.original or (message.partition, message.offset)
                newest.pop(place, None)
                newest[place] = letter
        self._letters = sorted(newest.values(), key=lambda letter: (letter.message.timestamp_ms, letter.message.offset))

    def __iter__(self) -> Iterator[Letter]:
        """Oldest first."""
        return iter(self._letters)

    def replayed_at(self, letter: Letter) -> float | None:
        original = letter.original
        return None if original is None else self.replayed.get(original)


def read_letters(settings: Settings, topic: str) -> Letters:
    """Reads a whole dead-letter topic. Raises UserError where it does not exist."""
    return Letters(topic, read_messages(settings, topic + DLQ_SUFFIX))


def replayed_headers(originals: Iterable[Original]) -> list[tuple[str, bytes]]:
    """The headers of the message that remembers what was sent again."""
    return [(REPLAYED, json.dumps(list(originals)).encode())]


def _originals(message: Message) -> list[Original]:
    """What a marker names; a marker that was not written by us names nothing."""
    try:
        named = json.loads(message.headers[REPLAYED])
        return [(str(uuid), int(partition), int(offset)) for uuid, partition, offset in named]
    except (ValueError, TypeError):
        return []


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


def _number(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() and len(value) <= MAX_DIGITS else None


def counts(letters: Letters, wanted: Wanted) -> list[dict[str, Any]]:
    """A row for each reason and class of error, most letters first; `first` and `last` in epoch seconds."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for letter in filter(wanted.has, letters):
        row = found.setdefault(
            (letter.reason, letter.error_class),
            {
                "reason": printable(letter.reason, SHOWN_CHARACTERS),
                "error": printable(letter.error_class, SHOWN_CHARACTERS),
                "count": 0,
                "replayed": 0,
                "first": letter.at,
                "last": letter.at,
            },
        )
        row["count"] += 1
        row["replayed"] += letters.replayed_at(letter) is not None
        row["last"] = letter.at
    return sorted(found.values(), key=lambda row: -row["count"])
