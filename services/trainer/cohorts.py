"""What was learned when, and how well it is still known: accuracy by cohort of shards over time.

A cohort is a few groups of new shards that follow each other. Their number is bounded: when there are too many, two
neighbours become one, by the sums of their counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MAX_COHORTS = 16
MAX_ROWS = 64

Cell = tuple[int, int]  # hits, pictures


@dataclass(frozen=True)
class Row:
    """One evaluation: after `group` groups, or before the group itself was trained on."""

    step: int
    group: int
    before: bool
    cells: Mapping[int, Cell]


@dataclass(frozen=True)
class Cohorts:
    """`width` groups make a cohort; rows are in the order of time."""

    width: int = 1
    rows: tuple[Row, ...] = field(default=())

    def of(self, group: int) -> int:
        return group // self.width

    def add(self, step: int, group: int, hits: Iterable[tuple[int, bool]], before: bool = False) -> Cohorts:
        """`hits`: (group in which the picture's shard was new, whether it is named rightly)."""
        cells: dict[int, Cell] = {}
        for learned, hit in hits:
            right, count = cells.get(self.of(learned), (0, 0))
            cells[self.of(learned)] = (right + hit, count + 1)
        return replace(self, rows=(*self.rows, Row(step, group, before, cells)))._bounded()

    def accuracy(self, row: Row, cohort: int) -> float | None:
        right, count = row.cells.get(cohort, (0, 0))
        return right / count if count else None

    def metrics(self, chance: float) -> dict[str, float]:
        """`forgetting`: how much of its best accuracy a cohort lost since, on average; `backward_transfer`: what later
        training gave to it; `forward_transfer`: what was right above chance before it was trained on."""
        after = [row for row in self.rows if not row.before]
        if not after:
            return {}
        last = after[-1]
        lost, gained = [], []
        for cohort in last.cells:
            series = [value for row in after if (value := self.accuracy(row, cohort)) is not None]
            if len(series) > 1:
                lost.append(max(series) - series[-1])
                gained.append(series[-1] - series[0])
        ahead = [
            value - chance
            for row in self.rows
            if row.before and (value := self.accuracy(row, self.of(row.group))) is not None
        ]
        found = {"forgetting": lost, "backward_transfer": gained, "forward_transfer": ahead}
        return {name: sum(values) / len(values) for name, values in found.items() if values}

    def matrix(self) -> dict[str, Any]:
        """For people and plots: a row an evaluation, a column a cohort."""
        columns = sorted({cohort for row in self.rows for cohort in row.cells})
        return {
            "groups_in_a_cohort": self.width,
            "cohorts": columns,
            "rows": [
                {
                    "step": row.step,
                    "group": row.group,
                    "before_training": row.before,
                    "accuracy": [_rounded(self.accuracy(row, cohort)) for cohort in columns],
                }
                for row in self.rows
            ],
        }

    def to_plain(self) -> dict[str, Any]:
        return {"width": self.width, "rows": [[r.step, r.group, r.before, sorted(r.cells.items())] for r in self.rows]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Cohorts:
        rows = tuple(
            Row(step, group, before, {cohort: (right, count) for cohort, (right, count) in cells})
            for step, group, before, cells in plain["rows"]
        )
        return cls(plain["width"], rows)

    def _bounded(self) -> Cohorts:
        made = self
        while made.rows and max((cohort for row in made.rows for cohort in row.cells), default=0) >= MAX_COHORTS:
            made = Cohorts(made.width * 2, tuple(replace(row, cells=_halved(row.cells)) for row in made.rows))
        if len(made.rows) > MAX_ROWS:
            made = replace(made, rows=made.rows[::-2][::-1])
        return made


def _halved(cells: Mapping[int, Cell]) -> dict[int, Cell]:
    merged: dict[int, Cell] = {}
    for cohort, (right, count) in cells.items():
        before = merged.get(cohort // 2, (0, 0))
        merged[cohort // 2] = (before[0] + right, before[1] + count)
    return merged


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
