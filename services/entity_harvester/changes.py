"""What a pass found that the last one did not: new, changed and vanished entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from entityflow.errors import UserError
from entityflow.records import Entity


@dataclass(frozen=True)
class Changes:
    new: list[Entity]
    changed: list[Entity]
    retired: list[Entity]  # marked so

    @property
    def all(self) -> list[Entity]:
        """Everything to write; most popular first, as the pass found them."""
        return [*self.new, *self.changed, *self.retired]


def compare(last: Mapping[str, Entity], found: Sequence[Entity], max_vanished_share: float) -> Changes:
    """Raises UserError where so many known entities are missing that the pass is not believed."""
    here = {entity.id for entity in found}
    active = [entity for entity in last.values() if not entity.retired]
    gone = [entity for entity in active if entity.id not in here]
    if gone and (len(gone) == len(active) or (len(gone) > 1 and len(gone) > max_vanished_share * len(active))):
        raise UserError(
            f"{len(gone)} of {len(active)} known entities have vanished ({len(gone) / len(active):.0%}),"
            f" the limit is {max_vanished_share:.0%}: this pass is not believed and nothing was written",
            hint="if the domain did change so much, raise limits.max_vanished_share in its file for one pass",
        )
    return Changes(
        new=[entity for entity in found if entity.id not in last],
        changed=[entity for entity in found if entity.id in last and says_else(last[entity.id], entity)],
        retired=[replace(entity, retired=True) for entity in gone],
    )


def says_else(last: Entity, now: Entity) -> bool:
    """Whether anything differs that somebody reads; every edit of an item makes a new revision."""
    return replace(last, revision=now.revision) != now


def after(last: Mapping[str, Entity], found: Sequence[Entity], changes: Changes) -> list[Entity]:
    """All entities that are known after the pass, the retired ones of earlier passes included."""
    known = {**last, **{entity.id: entity for entity in found}, **{entity.id: entity for entity in changes.retired}}
    return list(known.values())
