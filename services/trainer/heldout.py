"""The pictures that are never trained on: from the held-out tars, or a share of foreign shards by their keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from entityflow.heldout import is_heldout
from services.trainer.admission import decodes
from services.trainer.randomness import uniforms
from services.trainer.samples import Sample, ShardFile

MAX_PICTURES = 5000


@dataclass(frozen=True, slots=True)
class HeldOut:
    key: str
    picture: bytes
    texts: tuple[str, ...]
    entities: tuple[str, ...]
    shard: str = ""


def read_heldout(shards: Iterable[tuple[ShardFile, float]], limit: int = MAX_PICTURES) -> list[HeldOut]:
    """At most `limit`, chosen by their keys. With each shard comes the share of it that is held out."""
    found = [
        held_out(sample, shard)
        for shard, share in shards
        for sample in shard.samples
        if is_heldout(sample.key, share) and decodes(shard.picture(sample))
    ]
    return sorted(found, key=lambda sample: float(uniforms(1, sample.key)[0]))[:limit]


def held_out(sample: Sample, shard: ShardFile) -> HeldOut:
    return HeldOut(sample.key, shard.picture(sample), tuple(sample.texts), tuple(sample.entities), shard.name)
