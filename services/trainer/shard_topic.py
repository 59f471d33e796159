"""The `shard` topic as a log of shards.

Read by assignment from the position in the checkpoint; the group's committed offset only shows the lag. Object keys
are derived from the shard's id and version, never taken from a record.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from entityflow.admin import Admin, require_topics
from entityflow.errors import LossDetected, Retryable, UserError
from entityflow.metrics import TRAINER_LOST_SHARDS
from entityflow.records import Shard
from entityflow.settings import Settings
from entityflow.stage import read_topic
from services.trainer.ledger import ShardRef
from services.trainer.reasons import GONE
from services.trainer.shard_log import News
from services.trainer.store import Missing

TOPIC = "shard"
GROUP = "trainer"

Refer = Callable[[Shard], ShardRef]


class ShardTopic:
    """`refer` finds the files of a shard. The topic has one partition: an offset is a position."""

    def __init__(self, settings: Settings, refer: Refer) -> None:
        self._settings, self._refer = settings, refer
        self._uuid: str | None = None
        self._log = structlog.get_logger()

    def identity(self) -> str:
        if self._uuid is None:
            self._uuid = require_topics(self._settings, [TOPIC])[TOPIC]
        return self._uuid

    def since(self, position: int) -> News:
        """Where the position is gone, all is read again: the ledger knows what is no news."""
        try:
            return self._read(position)
        except LossDetected as exc:
            self._log.warning("shards_read_anew", error=str(exc))
            return self._read(0)
        except UserError as exc:
            if self._uuid is None:
                raise
            raise Retryable("broker-away", str(exc)) from exc

    def kept(self, position: int) -> None:
        try:
            Admin(self._settings).commit(GROUP, TOPIC, {0: position})
        except UserError as exc:
            self._log.warning("lag_not_shown", error=str(exc))

    def _read(self, position: int) -> News:
        newest: dict[str, Shard] = {}
        for message, record in read_topic(self._settings, TOPIC, {0: position} if position else None):
            position = message.offset + 1
            if isinstance(record, Shard) and record.count and not _is_older(record, newest.get(record.shard_id)):
                newest[record.shard_id] = record
        found = (self._find(record) for record in newest.values())
        return News(tuple(reference for reference in found if reference is not None), position)

    def _find(self, record: Shard) -> ShardRef | None:
        """None where the version's manifest is gone: a newer version or a removal follows in the topic, or came."""
        try:
            return self._refer(record)
        except Missing:
            TRAINER_LOST_SHARDS.labels(GONE).inc()
            self._log.error("manifest_gone", shard=record.shard_id, version=record.version)
            return None


def _is_older(record: Shard, known: Shard | None) -> bool:
    return known is not None and record.version < known.version
