"""What lies above an entity: ancestors with their shortest distance, and the natural type among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Edges:
    """Direct edges upwards. `types` (instance of) are followed only from the bottom, `classes` any number of times."""

    types: dict[str, set[str]] = field(default_factory=dict)
    classes: dict[str, set[str]] = field(default_factory=dict)

    def add(self, item: str, parent: str, is_type: bool) -> None:
        if item != parent:
            (self.types if is_type else self.classes).setdefault(item, set()).add(parent)

    def above(self, item: str) -> set[str]:
        return self.types.get(item, set()) | self.classes.get(item, set())


def depths(item: str, edges: Edges, deepest: int) -> dict[str, int]:
    """Every ancestor and its shortest distance, nearest first, then by id. Cycles end; nothing is its own ancestor."""
    found: dict[str, int] = {}
    level = edges.above(item) - {item}
    for depth in range(1, deepest + 1):
        if not level:
            break
        found.update((ancestor, depth) for ancestor in sorted(level, key=_number))
        above: set[str] = set().union(*(edges.classes.get(ancestor, set()) for ancestor in level))
        level = above - found.keys() - {item}
    return found


def natural_type(item: str, ancestors: Mapping[str, int], types: Sequence[str], roots: Collection[str]) -> str | None:
    """The nearest ancestor among the natural types (the first listed at equal distance), else the nearest root."""
    listed = [
        (ancestors[candidate], place, candidate) for place, candidate in enumerate(types) if candidate in ancestors
    ]
    if listed:
        return min(listed)[2]
    if item in types:
        return item
    reached = [(ancestors[root], place, root) for place, root in enumerate(roots) if root in ancestors]
    return min(reached)[2] if reached else None


def _number(item: str) -> tuple[int, str]:
    return len(item), item
