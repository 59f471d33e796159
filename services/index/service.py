"""index: fingerprint -> match

Answers for every picture whether it is known, a copy of a known one, new, or too near to a picture that is kept out of
training: the one judge of duplicates.
Safe to replay: an answer depends on the order of `fingerprint` alone, and what was answered once is answered again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from entityflow.admin import Admin
from entityflow.objects import Objects
from entityflow.records import Match
from entityflow.settings import load_settings
from entityflow.stage import Shell, read_topic
from services.index.answering import FingerprintHandler, Log
from services.index.settings import IndexSettings
from services.index.snapshots import Snapshots
from services.index.state import DiskState

TOPIC, GROUP = "fingerprint", "index"
SNAPSHOT_BUDGET_SECONDS = 5.0  # of patience with the bucket: a snapshot is only a shortcut


def build(settings: IndexSettings) -> Shell:
    """The service, wired and not yet running."""
    shell = Shell("index", settings)
    cuts = settings.cuts()
    folder = settings.state_dir / "index" / (settings.prefix or "main")

    def answers() -> Iterator[Match]:
        return (record for _, record in read_topic(settings, "match") if isinstance(record, Match))

    log = Log(
        committed=lambda: Admin(settings).committed(GROUP, TOPIC).get(0, 0),
        earliest=lambda: Admin(settings).starts([(TOPIC, 0)])[TOPIC, 0],
        answers=answers,
    )

    def handler(_partition: int, topic_uuid: str) -> FingerprintHandler:
        def open_state() -> DiskState:
            return DiskState(folder, topic_uuid, settings.index_cache_bytes)

        def bucket() -> Objects:
            return Objects(settings, SNAPSHOT_BUDGET_SECONDS)

        snapshots = Snapshots(bucket, topic_uuid, folder, settings.index_snapshot_seconds)
        return FingerprintHandler(open_state, log, snapshots, settings.index_row_limit, cuts)

    shell.batch(TOPIC, handler, max_records=settings.index_batch_records)
    return shell


def main() -> None:
    sys.exit(build(load_settings(IndexSettings)).run())


if __name__ == "__main__":
    main()
