"""Which checkpoints stay: the newest few, the last one of each day, and those of promoted models."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from services.trainer.checkpoints import MANIFEST, ROOT, complete_steps, folder, remove_checkpoint
from services.trainer.store import Missing, Store

PROMOTED = "promoted.json"  # beside the manifest: this checkpoint belongs to a promoted model
DAYS = 7


@dataclass(frozen=True)
class Kept:
    """`at` in seconds since 1970."""

    step: int
    at: float
    promoted: bool = False


def superfluous(checkpoints: Iterable[Kept], newest: int, days: int = DAYS) -> list[int]:
    """Steps of those that no rule keeps."""
    ordered = sorted(checkpoints, key=lambda kept: -kept.step)
    of_days: dict[str, int] = {}
    for kept in ordered:
        of_days.setdefault(datetime.fromtimestamp(kept.at, UTC).date().isoformat(), kept.step)
    daily = {of_days[day] for day in sorted(of_days, reverse=True)[:days]}
    return [kept.step for kept in ordered[newest:] if not kept.promoted and kept.step not in daily]


def tidy(store: Store, newest: int) -> list[int]:
    """Remove what is superfluous; the steps of it."""
    promoted = {key for key in store.keys(ROOT) if key.endswith("/" + PROMOTED)}
    found = [
        Kept(step, _written_at(store, step), folder(step) + PROMOTED in promoted) for step in complete_steps(store)
    ]
    removed = superfluous(found, newest)
    for step in removed:
        remove_checkpoint(store, step)
    return removed


def keep_for_model(store: Store, checkpoint: str, version: str) -> None:
    """`checkpoint` is the folder's key."""
    store.put(checkpoint + PROMOTED, json.dumps({"version": version}).encode())


def _written_at(store: Store, step: int) -> float:
    """0 where the manifest does not say: then only the newest and promoted ones of these stay."""
    try:
        return float(json.loads(store.get(folder(step) + MANIFEST)).get("at", 0))
    except (Missing, ValueError):
        return 0.0
