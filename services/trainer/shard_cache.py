"""Shards on the local disk, by content: fetched once, verified, the longest unused ones removed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from services.trainer.reasons import WRONG_CHECKSUM, BadShard
from services.trainer.store import Store


class ShardCache:
    """Files are named by their SHA-256. Several processes may share the folder: files appear whole."""

    def __init__(self, store: Store, folder: Path, max_bytes: int) -> None:
        self._store, self._folder, self._max_bytes = store, folder, max_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, name: str, key: str, sha256: str) -> Path:
        """Raises Missing, and BadShard where the bytes are not those of the checksum."""
        path = self._folder / f"{sha256}.tar"
        if path.exists():
            os.utime(path)
            return path
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._store.download(key, part)
            found = file_sha256(part)
            if found != sha256:
                raise BadShard(name, f"{key} has sha256 {found[:12]}, its manifest says {sha256[:12]}", WRONG_CHECKSUM)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return path

    def is_there(self, key: str) -> bool:
        """In the store, whatever lies here. Raises Retryable."""
        return key in self._store.keys(key)

    def drop(self, sha256: str) -> None:
        (self._folder / f"{sha256}.tar").unlink(missing_ok=True)

    def trim(self, in_use: Collection[Path]) -> None:
        """Down to the byte limit, least recently used first; never those in use."""
        files = sorted(self._folder.glob("*.tar"), key=lambda path: path.stat().st_mtime)
        excess = sum(path.stat().st_size for path in files) - self._max_bytes
        for path in files:
            if excess <= 0:
                return
            if path not in in_use:
                excess -= path.stat().st_size
                path.unlink()


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
