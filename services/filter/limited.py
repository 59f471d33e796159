"""What the rules of pictures and of texts have in common: a score, and a limit on one side of it or on both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """Allows a score from `least` to `most`."""

    least: float = float("-inf")
    most: float = float("inf")

    def allows(self, score: float) -> bool:
        return self.least <= score <= self.most

    def limited(self, limit: float | None) -> Self:
        """The same with another limit on the side on which it has one."""
        if limit is None:
            return self
        return replace(self, least=limit) if self.most == float("inf") else replace(self, most=limit)
