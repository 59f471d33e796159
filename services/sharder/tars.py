"""Tar bytes that depend on names and contents only: readers want plain USTAR, and equal input gives equal bytes."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

BLOCK = 512
RECORD = 20 * BLOCK


def packed(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Members as they lie in an archive; the first one's content begins after one block."""
    parts = []
    for name, data in members:
        header = tarfile.TarInfo(name)
        header.size, header.mode = len(data), 0o644
        parts += [header.tobuf(tarfile.USTAR_FORMAT), data, b"\0" * (-len(data) % BLOCK)]
    return b"".join(parts)


class TarWriter:
    """A file that grows by whole pieces: one that does not fit on the disk leaves it as it was, to be tried again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self._file: int | None = None
        self._ended = False

    def add(self, piece: bytes) -> int:
        """Append packed members; returns the offset of the first one's content."""
        first = self.bytes + BLOCK
        self._append(piece)
        return first

    def end(self) -> None:
        """The end of the archive. After OSError to be called again; more calls change nothing."""
        if not self._ended:
            whole = self.bytes + 2 * BLOCK
            self._append(b"\0" * (2 * BLOCK + -whole % RECORD))
            self._ended = True
            self._close()

    def abandon(self) -> None:
        self._close()
        self.path.unlink(missing_ok=True)

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        rest, place = memoryview(data), self.bytes
        try:
            while rest:
                written = os.pwrite(self._file, rest, place)
                rest, place = rest[written:], place + written
        except OSError:
            os.ftruncate(self._file, self.bytes)
            raise
        self.bytes = place

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
