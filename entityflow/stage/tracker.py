"""Which offset of a partition may be committed: the end of the longest finished prefix."""

from __future__ import annotations

from collections import deque


class OffsetTracker:
    """Follows the records of one partition from taking to finishing, in any order of finishing.

    Not thread-safe: it belongs to the event loop.
    """

    def __init__(self) -> None:
        self._taken: deque[int] = deque()
        self._finished: set[int] = set()
        self._next: int | None = None

    def take(self, offset: int) -> None:
        """A record was taken from the broker; offsets rise, with gaps."""
        if self._taken and offset <= self._taken[-1]:
            raise ValueError(f"offset {offset} was taken after {self._taken[-1]}")
        self._taken.append(offset)

    def finish(self, offset: int) -> None:
        """All that the record led to is acknowledged."""
        self._finished.add(offset)
        while self._taken and self._taken[0] in self._finished:
            first = self._taken.popleft()
            self._finished.discard(first)
            self._next = first + 1

    @property
    def open(self) -> int:
        """Records taken, not all of them unfinished, that hold the prefix back."""
        return len(self._taken)

    def committable(self) -> int | None:
        """The offset to commit; none while no record at the front has finished."""
        return self._next
