"""Records of a range that never reach a handler: dead letters and deletions. They must not keep it open for ever."""

from __future__ import annotations

from collections.abc import Callable


class HiddenRecords:
    """Asks for the end of the log once in `max_age_seconds`, while nothing else arrives."""

    def __init__(self, max_age_seconds: float, clock: Callable[[], float], log_end: Callable[[], int]) -> None:
        self._max_age_seconds, self._clock, self._log_end = max_age_seconds, clock, log_end
        self.forget()

    def forget(self) -> None:
        """Something has arrived: what lies before it is part of its range."""
        self._due, self._end = self._clock(), 0

    def are_old(self, start: int) -> bool:
        """Whether the log went on from `start` at the look before this one already. May raise Retryable."""
        if self._clock() < self._due:
            return False
        seen, self._end = self._end, self._log_end()
        self._due = self._clock() + self._max_age_seconds
        return seen > start
