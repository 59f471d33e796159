"""Retry-After: how long a server asks us to stay away."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_SECONDS = 86_400.0


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """Seconds from `now` (epoch), at most a day; none for what is missing, malformed or in the past."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = moment.timestamp() - now
    return min(seconds, MAX_SECONDS) if seconds > 0 else None
