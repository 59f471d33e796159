"""Which addresses were tried before, and what each gave: none of them is asked again without need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from entityflow.codec import decode, encode
from entityflow.records import Address, Record
from entityflow.turns import Turns

PARTITION_BYTES, READING_BYTES = 2, 4
HEAD_BYTES = PARTITION_BYTES + READING_BYTES


class Store(Protocol):
    """What is asked of a key-value store; a dict will do."""

    def get(self, key: bytes, /) -> bytes | None: ...
    def __setitem__(self, key: bytes, value: bytes, /) -> None: ...
    def __delitem__(self, key: bytes, /) -> None: ...


class KnownAddresses:
    """Follows the `address` topic. An entry holds an image, a reason, or the address that it redirects to.

    Each entry says which reading of its partition it came from: a partition that comes back from another owner is read
    anew, and what was left of it counts no more.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock
        self._readings: defaultdict[int, int] = defaultdict(int)
        self._turns = Turns()

    def read_anew(self, partitions: Iterable[int]) -> None:
        """Forget what these partitions held: they will be read from their beginning."""
        for partition in partitions:
            self._readings[partition] += 1

    def learn(self, url_id: str, record: Record | None, partition: int) -> None:
        if isinstance(record, Address):
            self._store[url_id.encode()] = self._head(partition) + encode(record)
        else:
            self._forget(url_id)

    def find(self, url_id: str) -> Address | None:
        stored = self._store.get(url_id.encode())
        if stored is None:
            return None
        entry = decode(stored[HEAD_BYTES:])
        expired = isinstance(entry, Address) and entry.expires is not None and entry.expires <= self._clock()
        if expired or stored[:HEAD_BYTES] != self._head(int.from_bytes(stored[:PARTITION_BYTES], "big")):
            self._forget(url_id)
            return None
        return entry if isinstance(entry, Address) else None

    def exclusive(self, url_id: str) -> AbstractAsyncContextManager[None]:
        """One candidate of an address at a time: the next one finds what this one learns."""
        return self._turns.of(url_id)

    def _forget(self, url_id: str) -> None:
        if self._store.get(url_id.encode()) is not None:
            del self._store[url_id.encode()]

    def _head(self, partition: int) -> bytes:
        reading = self._readings[partition]
        return partition.to_bytes(PARTITION_BYTES, "big") + reading.to_bytes(READING_BYTES, "big")
