"""What goes in and out of a stage: messages of the broker, records taken from them, records to send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from entityflow.errors import Rejected
from entityflow.records import Origin, Record

R = TypeVar("R")


@dataclass(slots=True)  # frozen would cost four times as much to make, for every record there is
class Message:
    """One message as it lies on the broker, never changed; `topic` is the name without the prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    timestamp_ms: int
    topic_uuid: str
    all_headers: tuple[tuple[str, bytes | None], ...] | None = None  # where names repeat or values are missing

    @property
    def given_headers(self) -> Iterable[tuple[str, bytes | None]]:
        """The headers exactly as they came."""
        return self.headers.items() if self.all_headers is None else self.all_headers

    @property
    def origin(self) -> Origin:
        return Origin(topic_uuid=self.topic_uuid, partition=self.partition, offset=self.offset)

    @property
    def attempt(self) -> int:
        """How many attempts came before this one, by the `attempt` header; 0 where it is missing or no number."""
        text = self.headers.get("attempt", b"")
        return int(text) if text.isdigit() else 0

    @property
    def waited(self) -> float:
        """Seconds waited after failed attempts, by the `waited` header; 0 where it is missing or no number."""
        try:
            seconds = float(self.headers.get("waited", b""))
        except ValueError:
            return 0.0
        return seconds if 0 <= seconds < float("inf") else 0.0

    @property
    def size(self) -> int:
        return len(self.value or b"") + len(self.key or b"")


@dataclass(slots=True)
class Received(Generic[R]):
    """A decoded record and the message that it came in."""

    record: R
    message: Message


@dataclass(frozen=True, slots=True)
class Send:
    """A record to produce. Without `key` it gets the topic's own key of the record; record None deletes a key."""

    topic: str
    record: Record | None
    key: str | None = None
    partition: int | None = None
    attempt: int = 0
    waited: float = 0.0  # seconds, after attempts that failed


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch handler made of the records that it was given.

    finished: the next offset to commit, none = after all that was given. It is committed only when `sends` and the
    dead letters of `rejected` (offset -> why) are acknowledged.
    """

    sends: Sequence[Send] = ()
    finished: int | None = None
    rejected: Mapping[int, Rejected] = field(default_factory=dict)


class BatchHandler(Protocol):
    """One for each assigned partition. Its methods run in a worker thread, one call at a time."""

    def start(self) -> int | None:
        """The offset to begin at; none = the committed one."""

    def step(self, batch: list[Received[Record]]) -> Batch:
        """Work on the next records. May raise Retryable: it is called again with the same batch."""

    def tick(self) -> Batch | None:
        """About once a second between steps; `finished` none = nothing to commit."""

    def close(self) -> None:
        """The partition goes to another owner, or the process ends."""
