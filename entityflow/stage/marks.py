"""Which record kills the process: what a group notes beside its committed offset, and what the next owner makes of it.

A process that is killed leaves no word, so its mark is written before: the owner of a partition notes that it runs, and
takes the note back when it leaves. An owner that finds a running mark knows that the one before it died there. The note
is the metadata of the committed offset: it lives where the offset does, and so survives process, pod and machine.

After one death at a first record, that record goes by itself; after two, records go one at a time, for as many as can
have been in flight. What was in work by itself at the second or a later death is condemned: it becomes a dead letter,
undecoded. A kill that has nothing to do with any record must come three times without progress to condemn one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

MAX_CONDEMNED = 50
MAX_TEXT = 4000  # the broker's own limit is 4096 bytes (offset.metadata.max.bytes)
DEATHS_THAT_PROVE = 2


@dataclass(frozen=True, slots=True)
class Mark:
    """What lies beside a committed offset.

    running: the owner has not left. moved: it has finished records since it began. deaths: of owners before it that
    finished nothing. alone: the offset of the record that is in work by itself. condemned: offsets of dead letters.
    """

    topic_uuid: str
    running: bool = False
    moved: bool = False
    deaths: int = 0
    alone: int | None = None
    condemned: tuple[int, ...] = ()

    def text(self) -> str:
        """The topic's uuid first, so that a person who lists offsets sees it."""
        more: dict[str, object] = {}
        if self.running:
            more["running"] = 1
        if self.moved:
            more["moved"] = 1
        if self.deaths:
            more["deaths"] = self.deaths
        if self.alone is not None:
            more["alone"] = self.alone
        if self.condemned:
            more["condemned"] = list(self.condemned[-MAX_CONDEMNED:])
        return f"{self.topic_uuid} {json.dumps(more, separators=(',', ':'))}" if more else self.topic_uuid


def read_mark(text: str | None) -> Mark | None:
    """The mark that a committed offset carries; none where somebody else committed it."""
    uuid, _, rest = (text or "").partition(" ")
    if not uuid:
        return None
    try:
        more = json.loads(rest or "{}")
        alone = more.get("alone")
        return Mark(
            topic_uuid=uuid,
            running=bool(more.get("running")),
            moved=bool(more.get("moved")),
            deaths=int(more.get("deaths", 0)),
            alone=None if alone is None else int(alone),
            condemned=tuple(int(offset) for offset in more.get("condemned", ())),
        )
    except (ValueError, TypeError, AttributeError):
        return Mark(topic_uuid=uuid)


class Watch:
    """One partition under one owner, from `opened` to `closed`: what to note, what goes alone, what is condemned.

    offset: where the group stands. waiting: whether a record lies there; without one a death proves nothing.
    window: how many records can have been in flight at once.
    """

    def __init__(self, before: Mark | None, topic_uuid: str, offset: int, waiting: bool, window: int) -> None:
        known = before if before is not None and before.topic_uuid == topic_uuid else Mark(topic_uuid)
        died = known.running and waiting
        deaths = known.deaths + 1 if died else 0
        condemned = _from(known.condemned, offset)
        self.guilty: int | None = None
        if died and known.alone is not None and deaths >= DEATHS_THAT_PROVE:
            self.guilty = known.alone
            condemned, deaths = (*condemned, known.alone), 0
        self.deaths = deaths
        self._left = _to_go_alone(deaths, moved=known.moved, window=window)
        self._suspects_end = offset + self._left
        self._mark = Mark(topic_uuid, running=waiting, deaths=deaths, condemned=condemned)

    @property
    def careful(self) -> bool:
        """The next record must be in work by itself."""
        return self._left > 0

    @property
    def suspicious(self) -> bool:
        """Somebody died here and nothing was finished since: commit soon, so that progress is known."""
        return self._mark.deaths > 0

    def is_condemned(self, offset: int) -> bool:
        return offset in self._mark.condemned

    def begin_alone(self, offset: int) -> None:
        self._mark = replace(self._mark, running=True, alone=offset)

    def end_alone(self) -> None:
        """It has ended, one way or another, and the process lives."""
        self._left -= 1
        self._mark = replace(self._mark, alone=None)

    def trust(self) -> None:
        """Nothing more goes by itself."""
        self._left = 0

    def note(self, offset: int, *, moved: bool) -> str:
        """What to write beside `offset`; moved: records were finished since the last note."""
        if moved:
            deaths = 0 if offset > self._suspects_end else self._mark.deaths
            condemned = _from(self._mark.condemned, offset)
            self._mark = replace(self._mark, running=True, moved=True, deaths=deaths, condemned=condemned)
        return self._mark.text()

    def closed(self, offset: int) -> str:
        """What to write on leaving: whoever comes next begins without suspicion."""
        condemned = _from(self._mark.condemned, offset)
        return Mark(self._mark.topic_uuid, condemned=condemned).text()


def _from(condemned: tuple[int, ...], offset: int) -> tuple[int, ...]:
    return tuple(place for place in condemned if place >= offset)


def _to_go_alone(deaths: int, moved: bool, window: int) -> int:
    if deaths >= DEATHS_THAT_PROVE:
        return window
    return min(1, window) if deaths and not moved else 0
