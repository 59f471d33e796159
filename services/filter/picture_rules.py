"""Which pictures are worth keeping: an ordered table of named rules, each with a score, a threshold and a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from entityflow.records import Original
from services.filter.fingerprints import Appearance

MIN_BYTES = 128  # a tracking pixel has 35 to 100


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a domain may set."""

    min_side_pixels: int = 32
    max_aspect: float = 4.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Drops a picture whose score is below `least` or above `most`."""

    reason: str
    score: Callable[[Original, Appearance], float]
    least: float = float("-inf")
    most: float = float("inf")


def picture_rules(limits: PictureLimits) -> tuple[Rule, ...]:
    """The table, in the order in which a picture is judged."""
    return (
        Rule("too-small", lambda original, _: min(original.width, original.height), least=limits.min_side_pixels),
        Rule("extreme-aspect", lambda original, _: aspect(original), most=limits.max_aspect),
        Rule("too-few-bytes", lambda original, _: original.bytes, least=MIN_BYTES),
        Rule("blank", lambda _, seen: float(seen.blank), most=0),
    )


def aspect(original: Original) -> float:
    """Longer side over shorter side."""
    return max(original.width, original.height) / max(1, min(original.width, original.height))


def judge_picture(original: Original, seen: Appearance, rules: Sequence[Rule]) -> tuple[str | None, dict[str, float]]:
    """The reason to drop the picture, none for a good one, and every score."""
    scores = {rule.reason: round(float(rule.score(original, seen)), 4) for rule in rules}
    failed = (rule.reason for rule in rules if not rule.least <= scores[rule.reason] <= rule.most)
    return next(failed, None), scores
