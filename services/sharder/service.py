"""sharder: filtered-pair -> shard

Cuts each partition into WebDataset shards in the object store, and tells the trainer of each. Safe to replay: a shard
is a function of the log from the end of the one before it, and exists once its manifest does, which is never
overwritten; a sharder begins after the newest manifest, and repeats its event.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial

from entityflow.admin import Admin
from entityflow.domain import Sharding, load_domain
from entityflow.errors import Retryable, UserError
from entityflow.objects import Objects
from entityflow.records import Record
from entityflow.settings import Settings, load_settings
from entityflow.stage import Received, Shell, read_topic
from services.sharder.cutting import PAIRS, Cutting, Surroundings
from services.sharder.open_shard import Limits
from services.sharder.settings import SharderSettings
from services.sharder.spool import Room, remove_left_behind

GROUP = "sharder"


def make_shell(settings: SharderSettings) -> Shell:
    """The service, wired and not yet running."""
    rules = load_domain(settings.domain).sharding if settings.domain else Sharding()
    folder = settings.state_dir / "sharder" / (settings.prefix or "main")
    remove_left_behind(folder / "open")
    around = Surroundings(
        objects=Objects(settings),
        folder=folder,
        limits=Limits(
            samples=settings.sharder_max_samples or rules.max_samples,
            bytes=settings.sharder_max_bytes or rules.max_bytes,
        ),
        max_age_seconds=settings.sharder_max_age_seconds or rules.max_age_seconds,
        committed=lambda partition: Admin(settings).committed(GROUP, PAIRS).get(partition, 0),
        clock=time.time,
        log_end=partial(log_end, settings),
        room=Room(settings.sharder_spool_bytes),
        read_again=partial(read_again, settings),
    )
    shell = Shell("sharder", settings)
    shell.batch(
        PAIRS,
        lambda partition, topic_uuid: Cutting(partition, topic_uuid, around),
        max_records=settings.sharder_batch_records,
    )
    return shell


def log_end(settings: Settings, partition: int) -> int:
    """Raises Retryable while the broker is away."""
    place = (PAIRS, partition)
    try:
        return Admin(settings).ends([place])[place]
    except UserError as exc:
        raise Retryable("broker-away", str(exc)) from exc


def read_again(settings: Settings, partition: int, first: int, last: int) -> Iterator[Received[Record]]:
    """Records of a range that were read before. Raises LossDetected where they are gone."""
    for message, record in read_topic(settings, PAIRS, {partition: first}):
        if message.offset > last:
            return
        if record is not None:
            yield Received(record, message)


def main() -> None:
    sys.exit(make_shell(load_settings(SharderSettings)).run())


if __name__ == "__main__":
    main()
