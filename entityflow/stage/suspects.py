"""The partitions of one stage under suspicion: who died here, what goes by itself, what is condemned."""

from __future__ import annotations

from entityflow.errors import Rejected
from entityflow.stage.marks import Mark, Watch
from entityflow.stage.messages import Message

KILLS = "kills-process"


class Suspects:
    """One `Watch` for each assigned partition. A partition that has none is above suspicion."""

    def __init__(self, topic_uuid: str, window: int) -> None:
        self._uuid, self._window = topic_uuid, window
        self._watches: dict[int, Watch] = {}

    def open(self, partition: int, before: Mark | None, offset: int, waiting: bool) -> Watch:
        """The partition is ours from `offset` on; waiting: whether a record lies there."""
        watch = self._watches[partition] = Watch(before, self._uuid, offset, waiting, self._window)
        return watch

    def note(self, partition: int, offset: int, *, moved: bool) -> str:
        """What to write beside an offset that is committed."""
        watch = self._watches.get(partition)
        return self._uuid if watch is None else watch.note(offset, moved=moved)

    def close(self, partition: int, offset: int) -> str:
        """The same on leaving the partition."""
        watch = self._watches.pop(partition, None)
        return self._uuid if watch is None else watch.closed(offset)

    def forget(self, partition: int) -> None:
        self._watches.pop(partition, None)

    @property
    def suspicious(self) -> bool:
        return any(watch.suspicious for watch in self._watches.values())

    def careful(self, partition: int) -> bool:
        """Whether the partition's next record must be in work by itself."""
        watch = self._watches.get(partition)
        return watch is not None and watch.careful

    def begin_alone(self, message: Message) -> None:
        if watch := self._watches.get(message.partition):
            watch.begin_alone(message.offset)

    def end_alone(self, message: Message) -> None:
        if watch := self._watches.get(message.partition):
            watch.end_alone()

    def trust(self) -> None:
        """A record that takes long is no proof of anything: all go on together."""
        for watch in self._watches.values():
            watch.trust()

    def check(self, message: Message) -> None:
        """Raises Rejected where the message is condemned: it is not even decoded."""
        watch = self._watches.get(message.partition)
        if watch is not None and watch.is_condemned(message.offset):
            raise Rejected(KILLS, "the process died with this record in work by itself")
