"""How long a provider that is away holds up a query, and when it is asked again."""

from __future__ import annotations

from collections.abc import Callable

SHORTEST_ABSENCE_SECONDS, LONGEST_ABSENCE_SECONDS = 30.0, 3600.0


class Patience:
    """A provider that has failed for `seconds` is left alone: as long again as it has been failing, an hour at most."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._failing_since: dict[str, float] = {}
        self._away_until: dict[str, float] = {}

    def away_until(self, name: str) -> float | None:
        """Until when the provider is not asked; none = it may be asked."""
        until = self._away_until.get(name, 0.0)
        return until if until > self._clock() else None

    def failed(self, name: str) -> float | None:
        """Until when it is to be left alone; none = it is worth trying again soon."""
        now = self._clock()
        failing = now - self._failing_since.setdefault(name, now)
        if failing < self._seconds:
            return None
        self._away_until[name] = now + min(max(failing, SHORTEST_ABSENCE_SECONDS), LONGEST_ABSENCE_SECONDS)
        return self._away_until[name]

    def went_well(self, name: str) -> None:
        self._failing_since.pop(name, None)
        self._away_until.pop(name, None)
