"""Why a shard or a sample is not trained on: words that are counted and logged."""

from __future__ import annotations

from entityflow.errors import UserError

WRONG_CHECKSUM = "wrong-checksum"
GONE = "gone"
UNREADABLE_SHARD = "unreadable-shard"
NO_SAMPLES = "no-samples"
HELD_OUT = "held-out"
NO_TEXT = "no-text"
NO_PICTURE = "no-picture"
NOT_UNDERSTOOD = "not-understood"
LITTER = "litter"
UNDECODABLE_PICTURE = "undecodable-picture"


class BadShard(UserError):
    """A shard that cannot be trained on; names it. The stream and `entityflow train` go on without it."""

    def __init__(self, shard: str, what: str, word: str = UNREADABLE_SHARD) -> None:
        super().__init__(
            f"shard {shard}: {what}", hint="entityflow shards verify reads every shard against its manifest"
        )
        self.word = word


class BadPicture(Exception):
    """Bytes that no decoder reads."""
