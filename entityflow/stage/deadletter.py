"""Dead letters: the original key, value and headers unchanged, with coordinates and cause in added headers."""

from __future__ import annotations

import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from typing import cast

from entityflow.errors import UserError
from entityflow.stage.messages import Message

MAX_MESSAGE_BYTES = 1024
MAX_STACK_BYTES = 8192

Headers = list[tuple[str, bytes]]


@dataclass(slots=True)
class Tries:
    """How often a record was worked on before it was given up; `first_at` in epoch seconds."""

    first_at: float = field(default_factory=time.time)
    count: int = 1


def dead_letter_headers(
    message: Message, group: str, producer: str, stage: str, error: BaseException, tries: Tries
) -> Headers:
    """The headers of the dead letter for a message: its own first, then `dlq-...`; times in epoch milliseconds."""
    service, _, version = producer.partition("@")
    stack = "".join(traceback.format_exception(error))
    added = {
        "dlq-topic": message.topic,
        "dlq-partition": str(message.partition),
        "dlq-offset": str(message.offset),
        "dlq-timestamp": str(message.timestamp_ms),
        "dlq-topic-uuid": message.topic_uuid,
        "dlq-group": group,
        "dlq-service": service,
        "dlq-version": version,
        "dlq-stage": stage,
        "dlq-reason": getattr(error, "reason", type(error).__name__),
        "dlq-error-class": type(error).__name__,
        "dlq-error-message": _head(str(error), MAX_MESSAGE_BYTES),
        "dlq-stack": _tail(stack, MAX_STACK_BYTES),
        "dlq-attempts": str(message.attempt + tries.count),
        "dlq-first-at": str(int(tries.first_at * 1000)),
        "dlq-last-at": str(int(time.time() * 1000)),
    }
    # both clients take a missing value as it is, though their types do not say so
    kept = [(name, cast(bytes, value)) for name, value in message.given_headers if not name.startswith("dlq-")]
    return kept + [(name, value.encode("utf-8", "replace")) for name, value in added.items()]


def _head(text: str, limit: int) -> str:
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def _tail(text: str, limit: int) -> str:
    """The innermost calls say most."""
    return text.encode("utf-8", "replace")[-limit:].decode("utf-8", "ignore")


class _Recent:
    """How the last records of one partition ended: True = rejected."""

    def __init__(self, window: int) -> None:
        self.ends: deque[bool] = deque(maxlen=window)
        self.row = 0

    def add(self, rejected: bool) -> None:
        self.ends.append(rejected)
        self.row = self.row + 1 if rejected else 0


class RejectionLimit:
    """Stops a service that would dead-letter a whole partition: too large a share of a window, or too many in a row.

    share: of the last `window` records of a partition, looked at from `minimum` records on.
    """

    def __init__(self, window: int = 200, share: float = 0.5, minimum: int = 20, in_a_row: int = 50) -> None:
        self._window, self._share, self._minimum, self._in_a_row = window, share, minimum, in_a_row
        self._partitions: dict[tuple[str, int], _Recent] = {}

    def finished(self, topic: str, partition: int, count: int = 1) -> None:
        """Records of a partition ended well."""
        recent = self._of(topic, partition)
        for _ in range(min(count, self._window)):
            recent.add(False)

    def rejected(self, message: Message, error: BaseException) -> None:
        """Counts what is about to be a dead letter; raises UserError where the limit is passed: write it no more."""
        recent = self._of(message.topic, message.partition)
        recent.add(True)
        count, of = sum(recent.ends), len(recent.ends)
        if recent.row > self._in_a_row:
            many = f"{recent.row} records in a row"
        elif of >= self._minimum and count > self._share * of:
            many = f"{count} of the last {of} records"
        else:
            return
        raise UserError(
            f"{many} of {message.topic} partition {message.partition} were rejected,"
            f" the last at offset {message.offset}: {error}",
            hint="something is wrong with this version or its input; nothing more was dead-lettered or committed",
        )

    def _of(self, topic: str, partition: int) -> _Recent:
        found = self._partitions.get((topic, partition))
        if found is None:
            found = self._partitions[topic, partition] = _Recent(self._window)
        return found
