"""What the shell asks of a broker. Kafka is one; the tests of the shell also run on one in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from entityflow.kafka import OnFatal
from entityflow.stage.messages import Message
from entityflow.stage.producing import Producer
from entityflow.stage.suspects import Suspects


@dataclass(frozen=True)
class Reading:
    """Who reads what, and what is called when partitions come and go; all of it runs in the loop.

    start(partition): the first offset, none = the committed one. on_assigned(partitions) returns before their first
    message is taken. on_revoked(partitions, lost) returns when their work has ended, with what may be committed.
    """

    service: str
    topic: str
    group: str
    topic_uuid: str
    start: Callable[[int], Awaitable[int | None]]
    on_assigned: Callable[[list[int]], Awaitable[None]]
    on_revoked: Callable[[list[int], bool], Awaitable[Mapping[int, int]]]
    on_fatal: OnFatal
    suspects: Suspects


class Consumer(Protocol):
    """One member of a group on one topic."""

    @property
    def assigned(self) -> set[int]:
        """The partitions that are this member's now."""

    async def join(self) -> None:
        """Partitions come with the next `take`s."""

    async def take(self, count: int, seconds: float) -> list[Message]:
        """Up to `count` messages, as soon as there is one, none after `seconds`. Raises what it cannot mend."""

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit next offsets by partition; those of partitions that went away meanwhile are left out."""

    async def note(self, partition: int) -> None:
        """Write what the suspects say of a partition beside its offset, which stays."""

    async def pause(self) -> None:
        """Take nothing, and stay a member."""

    async def resume(self) -> None:
        """Take again."""

    async def leave(self) -> None:
        """All partitions are revoked, their finished prefixes committed, the group left."""


class Guard(Protocol):
    """Says when input must wait for the stages below."""

    def behind(self) -> str | None:
        """The group that is too far behind, in words; called in a thread."""


class Broker(Protocol):
    def uuids(self, topics: Iterable[str]) -> dict[str, str]:
        """The uuid of each topic; raises UserError that names the first one missing."""

    def recognise(self, service: str, uuids: Mapping[str, str]) -> None:
        """Raises LossDetected where a topic is not the one that the service saw at its last start."""

    def producer(self, on_fatal: OnFatal) -> Producer: ...

    def consumer(self, reading: Reading) -> Consumer: ...

    def guard(self, service: str) -> Guard: ...
