"""Settings of the sharder. What is empty here comes from the domain's section `sharding`."""

from __future__ import annotations

from pydantic import Field

from entityflow.settings import Settings


class SharderSettings(Settings):
    sharder_max_samples: int | None = Field(None, ge=1, description="in a shard, held-out ones included")
    sharder_max_bytes: int | None = Field(None, ge=1 << 16, description="of pictures in a shard")
    sharder_max_age_seconds: float | None = Field(None, gt=0, description="an open shard is sealed when it is older")
    sharder_spool_bytes: int = Field(
        4 << 30,
        ge=0,
        description="open shards on the local disk; a range without room is read twice. Add one shard and the tables",
    )
    sharder_batch_records: int = Field(200, ge=1)
