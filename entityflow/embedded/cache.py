"""Where downloads are kept between runs and stacks: ENTITYFLOW_CACHE_DIR, else the user's cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from entityflow.errors import UserError

CHUNK = 1 << 20
DEMO_DATA = "demo-data"  # the name under which corpus and graph are made


def cache_dir() -> Path:
    """The cache folder, made if need be; raises UserError where it cannot be written."""
    base = os.environ.get("ENTITYFLOW_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "entityflow"
    )
    folder = Path(base)
    writable(folder)
    return folder


def writable(folder: Path) -> None:
    """Make a folder and show that a file can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as exc:
        raise UserError(
            f"cannot write in {folder}: {exc.strerror}", hint="free some disk, or choose a folder that is yours"
        ) from exc


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Two commands, or two threads, that would make the same thing in the cache: the second waits for the first."""
    with (cache_dir() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def appear(made: Path, folder: Path) -> None:
    """Rename a finished folder to its place; where another command was faster, its equal one stays."""
    try:
        made.replace(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(made)


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
