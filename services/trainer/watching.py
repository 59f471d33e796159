"""A look, now and then, whether the plan under way may go on.

A rewritten shard leaves its old tar in place while a plan needs it. Only where something had to be forgotten is the tar
gone at once: then the group ends after the steps that were taken, and is planned anew with the shard's new version.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from entityflow.errors import Retryable
from services.trainer.plans import Plan
from services.trainer.shard_log import ShardLog
from services.trainer.shard_room import ShardRoom


class Watch:
    """Looks in a thread of its own, at most every `seconds`: a step never waits for it."""

    def __init__(self, log: ShardLog, room: ShardRoom, seconds: float) -> None:
        self._log, self._room, self._seconds = log, room, seconds
        self._pool = ThreadPoolExecutor(1, "watch")
        self._looking: Future[bool] | None = None
        self._looked_at = time.monotonic()

    def withdrawn(self, plan: Plan) -> bool:
        """Whether the last look found a tar of the plan withdrawn; begins another look where it is time to."""
        if self._looking is not None:
            if not self._looking.done():
                return False
            looking, self._looking = self._looking, None
            return looking.result()
        if time.monotonic() - self._looked_at >= self._seconds:
            self._looked_at = time.monotonic()
            self._looking = self._pool.submit(self._look, plan)
        return False

    def close(self) -> None:
        self._pool.shutdown()

    def _look(self, plan: Plan) -> bool:
        try:
            news = {ref.shard_id: ref for ref in self._log.since(plan.position).shards}
            return bool(self._room.withdrawn(plan, news))
        except Retryable as exc:
            structlog.get_logger().warning("watch_failed", error=str(exc))
            return False
