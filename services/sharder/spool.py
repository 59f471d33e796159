"""Disk for open shards: a folder for each handler, a limit for all of them, and what happens when the disk is full."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from entityflow.errors import Retryable, UserError
from entityflow.metrics import SHARDER_SPOOL_BYTES

DISK_FULL = "disk-full"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Room:
    """Bytes that the open shards of a process may take on its disk together."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._taken, self._lock = limit_bytes, 0, threading.Lock()

    def take(self, size: int) -> bool:
        """Whether there was room."""
        with self._lock:
            if self._taken + size > self._limit:
                return False
            self._taken += size
            SHARDER_SPOOL_BYTES.set(self._taken)
            return True

    def give_back(self, size: int) -> None:
        with self._lock:
            self._taken -= size
            SHARDER_SPOOL_BYTES.set(self._taken)


@contextmanager
def waiting_for_room(folder: Path) -> Iterator[None]:
    """Raises Retryable where the disk is full: the partition waits, and what it has read is written again."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in FULL:
            raise
        raise Retryable(DISK_FULL, f"{folder}: {exc.strerror}; free some room, nothing is lost") from exc


@contextmanager
def with_room_to_start(folder: Path) -> Iterator[None]:
    """Raises UserError where the disk is full: a start cannot wait, whoever restarts the process can."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in FULL:
            raise
        raise UserError(f"no room on the disk of {folder}: {exc.strerror}", hint="free some, and start again") from exc


def new_folder(root: Path) -> Path:
    """A folder of this process alone."""
    root.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))


def remove_left_behind(root: Path) -> None:
    """What killed processes left. To be called once, when this process has no folder of its own yet."""
    for folder in root.glob("*-*"):
        number = folder.name.partition("-")[0]
        if number.isdigit() and (int(number) == os.getpid() or not psutil.pid_exists(int(number))):
            shutil.rmtree(folder, ignore_errors=True)
