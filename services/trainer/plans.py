"""A plan says what one group of steps draws, before the first of them is taken; it never changes after that.

New shards give each sample once; the rest of the group is replay. Without new shards the group replays what was drawn
too rarely, with a share of everything else, so that late shards do not push out early ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, log
from typing import Any

from services.trainer.ledger import Entry, Ledger, ShardRef
from services.trainer.randomness import uniforms
from services.trainer.recipe import Recipe

FIRST_REPLAY_SHARE = 0.5
REPLAY_RAMP_GROUPS = 20  # groups until the share has come down to the recipe's
TINY = 2.0**-53


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """`draws` draws of one shard, beginning at its draw number `first_draw`."""

    ref: ShardRef
    samples: int
    skipped: tuple[str, ...]
    first_draw: int
    draws: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`position`: offset in `shard` up to which its news are in the ledger. `parent`: digest of the plan before."""

    group: int
    kind: str  # new | replay
    sources: tuple[Source, ...]
    first_step: int
    steps: int
    batch_size: int
    seed: int
    knowledge: str | None
    position: int
    parent: str

    @property
    def draws(self) -> int:
        return self.steps * self.batch_size

    def to_json(self) -> bytes:
        return json.dumps({"schema": 1, **asdict(self)}, sort_keys=True).encode()

    def digest(self) -> str:
        return hashlib.sha256(self.to_json()).hexdigest()[:32]

    @classmethod
    def from_json(cls, data: bytes) -> Plan:
        plain = json.loads(data)
        del plain["schema"]
        return cls(**{**plain, "sources": tuple(_source(item) for item in plain["sources"])})


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in the run a plan begins."""

    group: int
    step: int
    knowledge: str | None
    position: int
    parent: str


def plan_new(recipe: Recipe, ledger: Ledger, new: Sequence[Entry], place: Place) -> Plan:
    """Each sample of the `new` entries once, replay of the others in the ledger, whole batches."""
    samples = sum(entry.samples for entry in new)
    fresh = {entry.ref.shard_id for entry in new}
    old = choose([entry for entry in ledger.usable() if entry.ref.shard_id not in fresh], recipe, place)
    share = replay_share(recipe, place.group) if old else 0.0
    total = _whole_batches(samples / (1 - share), recipe.batch_size)
    again = apportion(total - samples, [entry.samples for entry in (old or new)])
    draws = {entry.ref.shard_id: entry.samples for entry in new}
    for entry, count in zip(old or new, again, strict=True):
        draws[entry.ref.shard_id] = draws.get(entry.ref.shard_id, 0) + count
    return _plan("new", recipe, [*new, *old], draws, total, place)


def plan_replay(recipe: Recipe, ledger: Ledger, place: Place) -> Plan:
    """What is missing to `passes` draws a sample, at most `group_steps` steps of it."""
    behind = [entry for entry in ledger.usable() if entry.missing_draws(recipe.passes)]
    others = [entry for entry in ledger.usable() if not entry.missing_draws(recipe.passes)]
    entries = [*choose(behind, recipe, place), *choose(others, recipe, place)]
    missing = [entry.missing_draws(recipe.passes) for entry in entries]
    finished = [0 if count else entry.samples for entry, count in zip(entries, missing, strict=True)]
    share = recipe.replay_share if any(finished) else 0.0
    wanted = min(sum(missing) / (1 - share), recipe.group_steps * recipe.batch_size)
    total = _whole_batches(wanted, recipe.batch_size)
    again = int(total * share)
    first, second = apportion(total - again, missing), apportion(again, finished)
    draws = {entry.ref.shard_id: a + b for entry, a, b in zip(entries, first, second, strict=True)}
    return _plan("replay", recipe, entries, draws, total, place)


def choose(entries: Sequence[Entry], recipe: Recipe, place: Place) -> list[Entry]:
    """All, or as many as a group holds at most, drawn by their samples: a group never opens the whole past."""
    if len(entries) <= recipe.group_shards:
        return list(entries)
    numbers: list[float] = uniforms(len(entries), recipe.seed, "choose", place.group).tolist()
    # Efraimidis and Spirakis (2006): the largest u ** (1 / weight) are a draw by weight without repeats
    ranked = sorted(range(len(entries)), key=lambda i: log(max(numbers[i], TINY)) / entries[i].samples, reverse=True)
    return [entries[i] for i in sorted(ranked[: recipe.group_shards])]


def replay_share(recipe: Recipe, group: int) -> float:
    """From one half at the start down to the recipe's share."""
    if recipe.replay_share >= FIRST_REPLAY_SHARE:
        return recipe.replay_share
    progress = min(1.0, group / REPLAY_RAMP_GROUPS)
    return FIRST_REPLAY_SHARE + (recipe.replay_share - FIRST_REPLAY_SHARE) * progress


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts by weight; what rounding leaves goes to the largest remainders, the first ones on ties."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def _whole_batches(draws: float, batch_size: int) -> int:
    return max(1, ceil(draws / batch_size - 1e-9)) * batch_size


def _plan(kind: str, recipe: Recipe, entries: Sequence[Entry], draws: dict[str, int], total: int, place: Place) -> Plan:
    sources = tuple(
        Source(
            ref=entry.ref,
            samples=entry.samples,
            skipped=entry.skipped,
            first_draw=entry.drawn,
            draws=draws[entry.ref.shard_id],
        )
        for entry in entries
        if draws.get(entry.ref.shard_id)
    )
    return Plan(
        group=place.group,
        kind=kind,
        sources=sources,
        first_step=place.step,
        steps=total // recipe.batch_size,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        knowledge=place.knowledge,
        position=place.position,
        parent=place.parent,
    )


def _source(plain: dict[str, Any]) -> Source:
    return Source(**{**plain, "ref": ShardRef(**plain["ref"]), "skipped": tuple(plain["skipped"])})
