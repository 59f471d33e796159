"""What the client gives, as the shell's own messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from confluent_kafka import Message as RawMessage

from entityflow.stage.messages import Message


def message_of(raw: RawMessage, topic: str, topic_uuid: str) -> Message:
    """A message that bears no error; `topic` is the name without the prefix."""
    partition, offset = raw.partition(), raw.offset()
    if partition is None or offset is None:
        raise ValueError("a message without coordinates")
    given = raw.headers()
    headers, (_, timestamp) = by_name(given), raw.timestamp()
    odd = odd_headers(given, headers)
    return Message(topic, partition, offset, raw.key(), raw.value(), headers, timestamp, topic_uuid, odd)


def by_name(given: Any) -> dict[str, bytes]:
    """The headers of a message by name; of equal names the last counts."""
    pairs = cast(list[tuple[str, bytes | None]], given or [])
    return {name: value or b"" for name, value in pairs}


def odd_headers(given: Any, named: Mapping[str, bytes]) -> tuple[tuple[str, bytes | None], ...] | None:
    """The headers as they came, where `named` does not hold all of them; none where it does."""
    pairs = cast(list[tuple[str, bytes | None]], given or [])
    if len(pairs) == len(named) and all(value is not None for _, value in pairs):
        return None
    return tuple(pairs)
