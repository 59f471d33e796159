"""Where plans, checkpoints and models are kept: the bucket, or a folder for training outside the stream."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class Missing(Exception):
    """There is no such key."""


class Store(Protocol):
    def get(self, key: str) -> bytes:
        """Raises Missing."""

    def download(self, key: str, path: Path) -> None:
        """Raises Missing."""

    def put(self, key: str, value: bytes | Path) -> None: ...

    def keys(self, prefix: str) -> Iterator[str]: ...

    def delete(self, key: str) -> None: ...

    def uri(self, key: str) -> str:
        """The key as people write it, with what it lies in."""


class Folder:
    """A store in a directory; a file appears whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: str) -> bytes:
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError as exc:
            raise Missing(key) from exc

    def download(self, key: str, path: Path) -> None:
        try:
            shutil.copyfile(self.path(key), path)
        except FileNotFoundError as exc:
            raise Missing(key) from exc

    def put(self, key: str, value: bytes | Path) -> None:
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        if isinstance(value, Path):
            shutil.copyfile(value, part)
        else:
            part.write_bytes(value)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)

    def keys(self, prefix: str) -> Iterator[str]:
        base = (self.root / prefix) if prefix.endswith("/") or not prefix else (self.root / prefix).parent
        files = sorted(path for path in base.rglob("*") if path.is_file() and not path.name.startswith("."))
        names = (path.relative_to(self.root).as_posix() for path in files)
        return (name for name in names if name.startswith(prefix))

    def delete(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def uri(self, key: str) -> str:
        return str(self.path(key))

    def path(self, key: str) -> Path:
        return self.root / key
