"""Retry-After: how long a server asks us to stay away."""

from __future__ import annotations

from entityflow.retry_after import seconds_until

MAX_SECONDS = 86_400.0


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """Seconds from `now` (epoch), at most a day; none for what is missing, malformed or in the past."""
    seconds = seconds_until(value, now)
    return None if seconds is None or seconds < 0 else min(seconds, MAX_SECONDS)
