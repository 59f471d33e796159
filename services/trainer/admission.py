"""A shard is looked through once, before it enters a plan, so that no step of training meets a sample it cannot use."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from entityflow.heldout import is_heldout
from services.trainer.knowledge import Knowledge
from services.trainer.ledger import Entry, ShardRef
from services.trainer.pictures import open_picture
from services.trainer.reasons import HELD_OUT, NO_SAMPLES, NO_TEXT, UNDECODABLE_PICTURE, BadPicture, BadShard
from services.trainer.samples import Sample, ShardFile

SKETCH_PIXELS = 32  # a JPEG decodes at an eighth of its size: all of its data is read, little is computed


@dataclass(frozen=True)
class Admitted:
    """The ledger's entry, what was left out by reason, and the samples of each entity."""

    entry: Entry
    left_out: Counter[str]
    entities: Counter[str]


def admit(ref: ShardRef, shard: ShardFile, knowledge: Knowledge, heldout_share: float = 0.0) -> Admitted:
    """`heldout_share` of the samples is left to evaluation. Raises BadShard where not one sample can be used."""
    left_out = Counter(shard.left_out)
    skipped, entities = [], Counter[str]()
    for sample in shard.samples:
        why = HELD_OUT if is_heldout(sample.key, heldout_share) else why_not(sample, shard, knowledge)
        if why:
            left_out[why] += 1
            skipped.append(sample.key)
        else:
            entities.update(set(sample.entities))
    usable = len(shard.samples) - len(skipped)
    if not usable:
        counts = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()) if count)
        raise BadShard(shard.name, f"no sample can be used ({counts or 'it is empty'})", NO_SAMPLES)
    return Admitted(Entry(ref=ref, samples=usable, skipped=tuple(skipped)), +left_out, entities)


def why_not(sample: Sample, shard: ShardFile, knowledge: Knowledge) -> str | None:
    """Why a sample is not trained on; none = it is."""
    if not sample.texts and not any(entity in knowledge.entities for entity in sample.entities):
        return NO_TEXT
    return None if decodes(shard.picture(sample)) else UNDECODABLE_PICTURE


def decodes(data: bytes) -> bool:
    try:
        open_picture(data, SKETCH_PIXELS)
    except BadPicture:
        return False
    return True
