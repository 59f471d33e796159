"""Requests counted before they are sent, over all processes and for ever: no cap is passed whatever dies.

A process takes requests in blocks: block N of a window is an object that can be made only once. What a killed process
had taken and not sent is lost to the cap: the other side of never passing it.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

BLOCK = 10  # requests

ALWAYS, DAY, MONTH = "all", "day", "month"


class Ledger(Protocol):
    """What is needed of the bucket."""

    def put_if_absent(self, key: str, data: bytes) -> bool: ...

    def names(self, prefix: str) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `requests` in each window: `all`, `day` or `month` (UTC)."""

    window: str
    requests: int


class SpentOut(Exception):
    """A cap is reached. `until`: epoch seconds of the next window; none = for ever."""

    def __init__(self, why: str, until: float | None) -> None:
        super().__init__(why)
        self.until = until


class Purse:
    """The requests that one process may send to one provider. `spend` blocks: call it in threads."""

    def __init__(
        self, provider: str, caps: Sequence[Cap], ledger: Ledger, clock: Callable[[], float] = time.time
    ) -> None:
        self._provider, self._caps, self._ledger, self._clock = provider, caps, ledger, clock
        self._writer = uuid.uuid4().hex  # tells our blocks from another process's where an answer of the store is lost
        self._left: dict[str, int] = {}
        self._next: dict[str, int] = {}
        self._lock = threading.Lock()

    def spend(self) -> None:
        """Count one request that is about to be sent. Raises SpentOut where a cap does not allow it."""
        with self._lock:
            self._spend()

    def _spend(self) -> None:
        now = self._clock()
        windows = [(cap, _window(cap.window, now)) for cap in self._caps]
        for cap, window in windows:
            if self._left.get(window, 0) < 1:
                self._left[window] = self._block(cap, window, now)
        for _, window in windows:
            self._left[window] -= 1

    def _block(self, cap: Cap, window: str, now: float) -> int:
        """The requests of the next block that is free."""
        number = self._next.get(window)
        if number is None:
            number = len(self._ledger.names(f"spending/{self._provider}/{window}/"))
        while (size := min(BLOCK, cap.requests - number * BLOCK)) > 0:
            key = f"spending/{self._provider}/{window}/{number:09d}.json"
            number += 1
            if self._ledger.put_if_absent(key, json.dumps({"requests": size, "writer": self._writer}).encode()):
                self._next[window] = number
                return size
        self._next[window] = number
        raise SpentOut(f"{self._provider} has had its {cap.requests} requests of {window}", _end(cap.window, now))


def _window(kind: str, now: float) -> str:
    if kind == ALWAYS:
        return ALWAYS
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d" if kind == DAY else "%Y-%m")


def _end(kind: str, now: float) -> float | None:
    start = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == DAY:
        return (start + timedelta(days=1)).timestamp()
    if kind == MONTH:
        return (start.replace(day=1) + timedelta(days=32)).replace(day=1).timestamp()
    return None
