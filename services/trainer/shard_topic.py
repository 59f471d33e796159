"""The `shard` topic as a log of shards.

Read by assignment from the position in the checkpoint; the group's committed offset only shows the lag. Object keys
are derived from the shard's id and content, never taken from a record.
"""

from __future__ import annotations

TOPIC = "shard"
GROUP = "trainer"
