"""Moments as people write them: a date, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from entityflow.errors import UsageError

AGO = re.compile(r"(\d{1,9})([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(text: str, option: str, now: float) -> float:
    """Epoch seconds of `2026-11-25`, `2026-11-25T10:00`, `...Z`, `90m`, `2d`; without a zone it is UTC.

    Raises UsageError that names the option.
    """
    if ago := AGO.fullmatch(text.strip().lower()):
        return now - int(ago[1]) * SECONDS[ago[2]]
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as exc:
        raise UsageError(
            f"{option} {text!r} is no moment",
            hint="a date (2026-11-25), a time (2026-11-25T10:00, UTC), or how long ago (90m, 12h, 2d)",
        ) from exc


def shown(seconds: float) -> str:
    """`2026-11-25T10:00:07Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
