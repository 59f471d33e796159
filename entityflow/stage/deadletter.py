"""Dead letters: the original key, value and headers unchanged, with coordinates and cause in added headers."""

from __future__ import annotations

import traceback
from collections import deque

from entityflow.errors import UserError
from entityflow.stage.messages import Message

MAX_MESSAGE_BYTES = 1024
MAX_STACK_BYTES = 8192

Headers = list[tuple[str, bytes]]


def dead_letter_headers(message: Message, group: str, producer: str, stage: str, error: BaseException) -> Headers:
    """The headers of the dead letter for a message: its own first, then `dlq-...`."""
    stack = "".join(traceback.format_exception(error))
    added = {
        "dlq-topic": message.topic,
        "dlq-partition": str(message.partition),
        "dlq-offset": str(message.offset),
        "dlq-timestamp": str(message.timestamp_ms),
        "dlq-topic-uuid": message.topic_uuid,
        "dlq-group": group,
        "dlq-service": producer,
        "dlq-stage": stage,
        "dlq-reason": getattr(error, "reason", type(error).__name__),
        "dlq-error-class": type(error).__name__,
        "dlq-error-message": _cut(str(error), MAX_MESSAGE_BYTES),
        "dlq-stack": _cut(stack, MAX_STACK_BYTES),
        "dlq-attempts": str(message.attempt + 1),
    }
    kept = [(name, value) for name, value in message.headers.items() if not name.startswith("dlq-")]
    return kept + [(name, value.encode("utf-8", "replace")) for name, value in added.items()]


def _cut(text: str, limit: int) -> str:
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= limit else encoded[-limit:].decode("utf-8", "ignore")


class RejectionLimit:
    """Stops a service that would dead-letter a whole topic: when most records of a window are rejected."""

    def __init__(self, window: int = 200, share: float = 0.5, minimum: int = 20) -> None:
        self._recent: deque[bool] = deque(maxlen=window)
        self._share = share
        self._minimum = minimum

    def finished(self) -> None:
        self._recent.append(False)

    def rejected(self, message: Message, error: BaseException) -> None:
        """Counts a dead letter; raises UserError where the limit is passed."""
        self._recent.append(True)
        count = sum(self._recent)
        if len(self._recent) >= self._minimum and count > self._share * len(self._recent):
            raise UserError(
                f"{count} of the last {len(self._recent)} records of {message.topic} were rejected,"
                f" the last at partition {message.partition} offset {message.offset}: {error}",
                hint="something is wrong with this version or its input; nothing more was dead-lettered or committed",
            )
