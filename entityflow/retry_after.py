"""The header Retry-After (RFC 9110, 10.2.3): seconds, or a date."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds from `now` (epoch), never negative; none for what is missing or says nothing usable."""
    seconds = seconds_until(value, now)
    return None if seconds is None else max(0.0, seconds)


def seconds_until(value: str | None, now: float) -> float | None:
    """The same, negative for a date that has passed."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() - now
