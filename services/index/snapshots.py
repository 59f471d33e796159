"""Copies of the index's memory in the bucket, so that a new machine need not read years of answers.

`index/TOPIC_UUID/APPLIED.tar`: the state as it was before that offset of `fingerprint`. It is only a shortcut: without
one, or where the log no longer reaches back to it, the state is rebuilt from `match`.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from entityflow.errors import EntityflowError
from entityflow.objects import Objects
from services.index.state import DiskState

KEPT = 2
CHECKPOINT, PACKED = "checkpoint", "snapshot.tar"


class Snapshots:
    """folder: the state's own; scratch files lie beside it. every_seconds: 0 takes none."""

    def __init__(
        self,
        open_objects: Callable[[], Objects],
        topic_uuid: str,
        folder: Path,
        every_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open, self._root, self._folder = open_objects, f"index/{topic_uuid}/", folder
        self._every, self._clock = every_seconds, clock
        self._last, self._taken = clock(), -1
        self._prefix = f".snapshot-{folder.name}-"
        for left in folder.parent.glob(f"{self._prefix}*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        self._sending: threading.Thread | None = None

    def restore(self) -> bool:
        """Put the newest one in the place of the folder, which nobody may have open. False: there is none to have."""
        try:
            objects = self._open()
            newest = max((stored.key for stored in objects.list(self._root)), default=None)
            if newest is None:
                return False
            self._fetch(objects, newest)
        except (EntityflowError, OSError, tarfile.TarError) as exc:
            structlog.get_logger().warning("index_snapshot_not_read", error=str(exc))
            return False
        structlog.get_logger().info("index_snapshot_read", snapshot=newest)
        return True

    def _fetch(self, objects: Objects, key: str) -> None:
        with self._scratch() as scratch:
            packed, unpacked = Path(scratch) / PACKED, Path(scratch) / CHECKPOINT
            objects.download(key, packed)
            with tarfile.open(packed) as tar:
                tar.extractall(unpacked, filter="data")
            shutil.rmtree(self._folder, ignore_errors=True)
            unpacked.replace(self._folder)

    def take_when_due(self, state: DiskState) -> None:
        """One at a time; the state goes on at once, the copy is sent in a thread."""
        applied = state.applied
        if not self._every or applied is None or applied == self._taken or self._clock() - self._last < self._every:
            return
        if self._sending is not None and self._sending.is_alive():
            return
        self._last, self._taken = self._clock(), applied
        scratch = self._scratch()
        state.copy_to(Path(scratch.name) / CHECKPOINT)
        self._sending = threading.Thread(target=self._send, args=(scratch, applied), name="snapshot", daemon=True)
        self._sending.start()

    def _send(self, scratch: tempfile.TemporaryDirectory[str], applied: int) -> None:
        key = f"{self._root}{applied:012d}.tar"
        with scratch as folder:
            try:
                packed = Path(folder) / PACKED
                with tarfile.open(packed, "w") as tar:
                    tar.add(Path(folder) / CHECKPOINT, arcname=".")
                objects = self._open()
                objects.put(key, packed)
                for stored in sorted(one.key for one in objects.list(self._root))[:-KEPT]:
                    objects.delete(stored)
            except (EntityflowError, OSError) as exc:
                structlog.get_logger().warning("index_snapshot_not_written", error=str(exc))
                return
        structlog.get_logger().info("index_snapshot_written", snapshot=key)

    def wait(self) -> None:
        """Until the one under way is sent or has failed."""
        if self._sending is not None:
            self._sending.join()

    def _scratch(self) -> tempfile.TemporaryDirectory[str]:
        """On the same disk as the state, so that a checkpoint is made of links."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=self._folder.parent, prefix=self._prefix)
