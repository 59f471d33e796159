"""Tar bytes that depend on names and contents only: readers want plain USTAR, and equal input gives equal bytes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from pathlib import Path

BLOCK = 512
RECORD = 20 * BLOCK


class TarWriter:
    """Appends members to a file; `close` ends the archive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self._file = path.open("wb")

    def add(self, members: Iterable[tuple[str, bytes]]) -> int:
        """Append; returns the offset of the first member's content."""
        first = self.bytes + BLOCK
        for name, data in members:
            header = tarfile.TarInfo(name)
            header.size, header.mode = len(data), 0o644
            self._write(header.tobuf(tarfile.USTAR_FORMAT))
            self._write(data + b"\0" * (-len(data) % BLOCK))
        return first

    def close(self) -> None:
        self._write(b"\0" * (2 * BLOCK))
        self._write(b"\0" * (-self.bytes % RECORD))
        self._file.close()

    def abandon(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self.bytes += len(data)
