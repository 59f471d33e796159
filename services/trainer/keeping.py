"""Checkpoints on their way to the store while training goes on: one at a time, copied to memory first."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from entityflow.errors import Retryable
from entityflow.metrics import TRAINER_CHECKPOINT_BYTES, TRAINER_CHECKPOINT_SECONDS
from services.trainer.checkpoints import Checkpoint, write_checkpoint
from services.trainer.retention import tidy
from services.trainer.store import Store


class Keeper:
    """`written` hears of each checkpoint that is whole in the store, from the writer's thread.

    A store that is away does not stop the training: the next checkpoint is tried when its time has come.
    """

    def __init__(self, store: Store, newest: int, written: Callable[[Checkpoint], None]) -> None:
        self._store, self._newest, self._written = store, newest, written
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._under_way: Future[bool] | None = None
        self._log = structlog.get_logger()

    @property
    def busy(self) -> bool:
        return self._under_way is not None and not self._under_way.done()

    def begin(self, checkpoint: Checkpoint) -> None:
        """Write in the background; the tensors must be copies. Waits for the one before."""
        self.finish()
        self._under_way = self._pool.submit(self._write, checkpoint)

    def finish(self) -> bool:
        """Whether the one under way, if any, was written; raises what went wrong besides a store that is away."""
        under_way, self._under_way = self._under_way, None
        return under_way.result() if under_way else True

    def close(self) -> None:
        self._pool.shutdown()

    def _write(self, checkpoint: Checkpoint) -> bool:
        began = time.monotonic()
        try:
            size = write_checkpoint(self._store, checkpoint)
        except Retryable as exc:
            self._log.error("checkpoint_failed", step=checkpoint.step, error=str(exc))
            return False
        seconds = time.monotonic() - began
        TRAINER_CHECKPOINT_BYTES.set(size)
        TRAINER_CHECKPOINT_SECONDS.set(seconds)
        self._log.info("checkpoint", step=checkpoint.step, key=checkpoint.key, bytes=size, seconds=round(seconds, 1))
        self._written(checkpoint)
        self._tidy()
        return True

    def _tidy(self) -> None:
        try:
            tidy(self._store, self._newest)
        except Retryable as exc:
            self._log.warning("old_checkpoints_stay", error=str(exc))
