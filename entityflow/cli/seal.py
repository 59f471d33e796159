"""`entityflow seal`: a marker into every partition that has an open shard."""

from __future__ import annotations

from typing import Annotated

import typer

from entityflow.cli.output import print_json, say
from entityflow.cli.servers import settings_with
from entityflow.settings import Settings

PAIRS = "filtered-pair"


def seal(as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False) -> None:
    """Close the open shards; partitions with nothing open are passed over.

    The sharder does it when it reads the marker: entityflow wait waits for that.

    Example: entityflow seal
    """
    sealed = seal_open_shards(settings_with("kafka", "s3"))
    if as_json:
        print_json({"sealed": sealed})
    else:
        say(f"sealed {sealed} open shards")


def seal_open_shards(settings: Settings) -> int:
    """Writes the markers; returns how many."""
    from entityflow.admin import Admin, require_topics
    from entityflow.objects import Objects
    from entityflow.records import Seal
    from entityflow.shards import list_manifests
    from entityflow.stage import Send, produce_all

    uuid = require_topics(settings, [PAIRS])[PAIRS]
    admin, objects = Admin(settings), Objects(settings)
    count = admin.partitions([PAIRS])[PAIRS]
    ends = admin.ends((PAIRS, partition) for partition in range(count))
    begun = dict.fromkeys(range(count), 0)
    for manifest in list_manifests(objects):
        if manifest.input.topic_uuid == uuid:
            begun[manifest.input.partition] = manifest.input.end + 1
    sends = [
        Send(PAIRS, Seal(partition=partition, start=begun[partition], cause="asked"), partition=partition)
        for partition in range(count)
        if ends[PAIRS, partition] > begun[partition]
    ]
    if sends:
        produce_all("cli", settings, sends, [PAIRS])
    return len(sends)
