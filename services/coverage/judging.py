"""One partition of `outcome`: counts that are rebuilt from the log, judged where an entity has become quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from entityflow.records import Outcome, Record
from entityflow.stage import Batch, Received, Send
from services.coverage.yields import Target, Yield

Clock = Callable[[], float]


class Judging:
    """The handler of a partition.

    Reading begins at the first offset that there is, so that a new owner has all counts. Committed is the offset up
    to which every entity has been judged: what lies before it only builds counts, and a group that is at its end has
    no decision pending.
    """

    def __init__(self, first: int, judged: int, target: Target, quiet_seconds: float, clock: Clock) -> None:
        self._first, self._judged, self._read = first, judged, first
        self._target, self._quiet, self._clock = target, quiet_seconds, clock
        self._yields: dict[str, Yield] = {}
        self._waiting: dict[str, _Waiting] = {}

    def start(self) -> int | None:
        return self._first

    def step(self, batch: list[Received[Record]]) -> Batch:
        for received in batch:
            if isinstance(received.record, Outcome):
                self._count(received.record, received.message.offset)
            self._read = received.message.offset + 1
        return self._publish(())

    def _count(self, outcome: Outcome, offset: int) -> None:
        entity = outcome.entity_id
        if entity is None:  # an imported list without entities: nothing to search for
            return
        changed = self._yields.setdefault(entity, Yield()).add(outcome)
        if offset >= self._judged and changed:
            since = self._waiting[entity].offset if entity in self._waiting else offset
            self._waiting[entity] = _Waiting(since, self._clock() + self._quiet)

    def tick(self) -> Batch | None:
        now = self._clock()
        due = [entity for entity, waiting in self._waiting.items() if waiting.due <= now]
        return self._publish(due)

    def _publish(self, entities: Iterable[str]) -> Batch:
        sends = [Send("coverage", self._yields[entity].coverage(entity, self._target)) for entity in sorted(entities)]
        for entity in entities:
            del self._waiting[entity]
        return Batch(sends=sends, finished=self._finished())

    def _finished(self) -> int:
        return max(self._judged, min([self._read, *(waiting.offset for waiting in self._waiting.values())]))

    def close(self) -> None:
        """Nothing is held outside the log."""


class _Waiting:
    """An entity with outcomes that are not judged: the first one's offset, and when it will have been quiet."""

    __slots__ = ("due", "offset")

    def __init__(self, offset: int, due: float) -> None:
        self.offset, self.due = offset, due
