"""TDM Reservation Protocol: /.well-known/tdmrep.json of an origin (W3C community group report, 10 May 2024)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from services.fetcher.patterns import path_matches

PATH = "/.well-known/tdmrep.json"
MAX_BYTES = 500 << 10
MAX_RULES = 1000


@dataclass(frozen=True, slots=True)
class TdmRule:
    location: str
    reserved: bool
    policy: str | None = None

    @property
    def evidence(self) -> str:
        policy = f", policy {self.policy[:100]}" if self.policy else ""
        return f"tdmrep.json: {self.location[:100]}: {int(self.reserved)}{policy}"


def parse_tdmrep(body: bytes) -> tuple[TdmRule, ...]:
    """The rules of a file; entries that are none are left out, and so is a file that is no JSON."""
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    rules = [_rule(entry) for entry in (entries if isinstance(entries, list) else [entries])[:MAX_RULES]]
    return tuple(rule for rule in rules if rule is not None)


def _rule(entry: object) -> TdmRule | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("location"), str):
        return None
    said = str(entry.get("tdm-reservation", "")).strip()
    if said not in ("0", "1"):
        return None
    policy = entry.get("tdm-policy")
    return TdmRule(entry["location"], said == "1", policy if isinstance(policy, str) else None)


def rule_for(rules: tuple[TdmRule, ...], target: str) -> TdmRule | None:
    """The most specific rule for a target; on a tie the reservation."""
    matching = [rule for rule in rules if path_matches(rule.location, target)]
    return max(matching, key=lambda rule: (len(rule.location), rule.reserved), default=None)
