"""Where a run stands: all of a checkpoint that is no tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.trainer.cohorts import Cohorts
from services.trainer.ledger import Ledger
from services.trainer.order import Order
from services.trainer.plans import Place, Plan


@dataclass
class RunState:
    """`plan` is under way with `plan_step` of its steps taken; `position` is that in the log of shards; `trained`
    counts the samples of each entity that came."""

    ledger: Ledger = field(default_factory=Ledger)
    position: int = 0
    group: int = 0
    step: int = 0
    parent: str = ""
    plan: Plan | None = None
    plan_step: int = 0
    baseline: dict[str, float] | None = None
    cohorts: Cohorts = field(default_factory=Cohorts)
    trained: dict[str, int] = field(default_factory=dict)

    def count(self, entities: Mapping[str, int]) -> None:
        """Samples of shards that came."""
        for entity, samples in entities.items():
            self.trained[entity] = self.trained.get(entity, 0) + samples

    def place(self, knowledge: str | None) -> Place:
        return Place(group=self.group, step=self.step, knowledge=knowledge, position=self.position, parent=self.parent)

    def finish_plan(self) -> None:
        """The plan is over, or is given up after the steps that were taken: they count as draws."""
        assert self.plan is not None
        self.ledger = self.ledger.credit(Order(self.plan).drawn_until(self.plan_step), self.plan.group)
        self.parent = self.plan.digest()
        self.group, self.plan, self.plan_step = self.group + 1, None, 0

    def to_plain(self) -> dict[str, Any]:
        return {
            "ledger": self.ledger.to_plain(),
            "position": self.position,
            "group": self.group,
            "step": self.step,
            "parent": self.parent,
            "plan": json.loads(self.plan.to_json()) if self.plan else None,
            "plan_step": self.plan_step,
            "baseline": self.baseline,
            "cohorts": self.cohorts.to_plain(),
            "trained": self.trained,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> RunState:
        names = ("position", "group", "step", "parent", "plan_step", "baseline")
        return cls(
            ledger=Ledger.from_plain(plain["ledger"]),
            cohorts=Cohorts.from_plain(plain["cohorts"]) if "cohorts" in plain else Cohorts(),
            trained=dict(plain.get("trained", {})),
            plan=Plan.from_json(json.dumps(plain["plan"]).encode()) if plain["plan"] else None,
            **{name: plain[name] for name in names},
        )
