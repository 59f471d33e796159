"""sharder: filtered-pair -> shard

Cuts each partition into WebDataset shards in the object store, and tells the trainer of each. Safe to replay: a shard
is a function of the log from the end of the one before it, and exists once its manifest does, which is never
overwritten; a sharder begins after the newest manifest, and repeats its event.
"""

from __future__ import annotations

import sys
import time

from entityflow.domain import Domain, load_domain
from entityflow.objects import Objects
from entityflow.settings import load_settings
from entityflow.stage import Shell
from services.sharder.cutting import PAIRS, Cutting
from services.sharder.open_shard import Limits
from services.sharder.settings import SharderSettings


def make_shell(settings: SharderSettings) -> Shell:
    rules = load_domain(settings.domain).sharding if settings.domain else Domain.model_fields["sharding"].default
    limits = Limits(
        samples=settings.sharder_max_samples or rules.max_samples, bytes=settings.sharder_max_bytes or rules.max_bytes
    )
    age = settings.sharder_max_age_seconds or rules.max_age_seconds
    folder = settings.state_dir / "sharder" / (settings.prefix or "main")
    objects = Objects(settings)
    objects.ensure_bucket()
    shell = Shell("sharder", settings)

    def handler(partition: int, topic_uuid: str) -> Cutting:
        return Cutting(partition, topic_uuid, objects, folder / f"p{partition:03d}", limits, age, time.time)

    shell.batch(PAIRS, handler, max_records=settings.sharder_batch_records)
    return shell


def main() -> None:
    sys.exit(make_shell(load_settings(SharderSettings)).run())


if __name__ == "__main__":
    main()
