"""Where the trainer hears of shards: the compacted `shard` topic, or the files of a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from entityflow.errors import UserError
from services.trainer.ledger import ShardRef
from services.trainer.shard_cache import file_sha256

HELDOUT_SUFFIX = ".heldout.tar"


@dataclass(frozen=True)
class News:
    """Shards by their newest version, and the position to ask from next time."""

    shards: tuple[ShardRef, ...]
    position: int


class ShardLog(Protocol):
    def identity(self) -> str:
        """Of the log that positions belong to."""

    def since(self, position: int) -> News:
        """All that came at or after the position, up to now. Raises Retryable while that cannot be known."""

    def kept(self, position: int) -> None:
        """A checkpoint holds all up to this position: for displays of the lag."""


class FolderLog:
    """Tars that are there once and for all; `X.heldout.tar` beside `X.tar` holds the held-out samples of it."""

    def __init__(self, tars: list[Path]) -> None:
        self._tars = tars
        self._references: tuple[ShardRef, ...] | None = None

    def identity(self) -> str:
        return "folder"

    def since(self, position: int) -> News:
        if self._references is None:
            self._references = tuple(_reference(tar) for tar in self._tars)
        return News(self._references, len(self._references))

    def kept(self, position: int) -> None:
        """Nobody watches a folder's lag."""


def find_tars(paths: list[Path]) -> list[Path]:
    """The training tars that are named or lie below the folders. Raises UserError where there is none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(tar for tar in path.rglob("*.tar") if not tar.name.startswith("."))
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f"{path}: there is no such file or folder", hint="name folders or tars on this machine")
    tars = [tar.resolve() for tar in found if not tar.name.endswith(HELDOUT_SUFFIX)]
    if not tars:
        raise UserError(f"no tar below {', '.join(map(str, paths))}", hint="entityflow shards pull DIR brings some")
    return list(dict.fromkeys(tars))


def _reference(tar: Path) -> ShardRef:
    reference = ShardRef(shard_id=str(tar), version=1, tar=str(tar), sha256=file_sha256(tar))
    heldout = tar.with_name(tar.name.removesuffix(".tar") + HELDOUT_SUFFIX)
    if not heldout.exists():
        return reference
    return replace(reference, heldout_tar=str(heldout), heldout_sha256=file_sha256(heldout))
