"""Looking from time to time, beside the work: may input go on, and is the topic still the one that it was.

A broker that does not answer for a while changes nothing: what was known goes on to hold.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from entityflow.errors import LossDetected, UserError
from entityflow.stage.broker import Guard

NO_ANSWER = "the broker has not answered yet"


class Lookout:
    """`wait`: why input must wait, none when it may come.

    guard: none where the stage waits for nobody. same(): raises LossDetected where the topic was made anew.
    told(wait) is called when the reason changes.
    """

    def __init__(
        self, guard: Guard | None, same: Callable[[], None], seconds: float, told: Callable[[str | None], None]
    ) -> None:
        self._guard, self._same, self._seconds, self._told = guard, same, seconds, told
        self._due = 0.0
        self._task: asyncio.Task[str | None] | None = None
        self.wait: str | None = None if guard is None else NO_ANSWER

    async def look(self) -> None:
        """Begin to look when it is time; the first look is waited for, later ones are not. Raises LossDetected."""
        first = self._due == 0.0
        if first and self._guard is None:
            self._due = time.monotonic() + self._seconds
        if self._task is None and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._seconds
            self._task = asyncio.create_task(asyncio.to_thread(self._ask))
        if self._task is not None and (first or self._task.done()):
            task, self._task = self._task, None
            before, self.wait = self.wait, await task
            if before != self.wait and not (first and self.wait is None):
                self._told(self.wait)

    def _ask(self) -> str | None:
        try:
            self._same()
            return None if self._guard is None else self._guard.behind()
        except LossDetected:
            raise
        except UserError as exc:
            structlog.get_logger().warning("guard_without_answer", error=str(exc))
            return self.wait
