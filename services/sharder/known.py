"""Which pictures a partition has: 16 bytes each, sorted, so that millions fit; the newest ones in a set beside them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from heapq import merge
from typing import overload

ID_BYTES = 16
MERGED_AT = 50_000


class KnownPictures:
    """Holds image_ids by their first half: 128 bits of a SHA-256."""

    def __init__(self) -> None:
        self._old, self._new = _Sorted(b""), set[bytes]()

    def __contains__(self, image_id: str) -> bool:
        short = _short(image_id)
        return short in self._new or self._old.holds(short)

    def update(self, image_ids: Iterable[str]) -> None:
        self._new.update(map(_short, image_ids))
        if len(self._new) >= max(MERGED_AT, len(self._old) // 8):
            joined = bytearray()
            for short in merge(self._old, sorted(self._new)):
                joined += short
            self._old, self._new = _Sorted(bytes(joined)), set()


class _Sorted(Sequence[bytes]):
    def __init__(self, joined: bytes) -> None:
        self._joined = joined

    def holds(self, short: bytes) -> bool:
        place = bisect_left(self, short)
        return place < len(self) and self[place] == short

    def __len__(self) -> int:
        return len(self._joined) // ID_BYTES

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._joined[index * ID_BYTES : (index + 1) * ID_BYTES]


def _short(image_id: str) -> bytes:
    return bytes.fromhex(image_id)[:ID_BYTES]
