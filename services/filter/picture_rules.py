"""Which pictures are worth keeping: an ordered table of named rules, each with a score, a threshold and a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from entityflow.records import Original
from services.filter.fingerprints import Appearance
from services.filter.limited import Limited

MIN_BYTES = 128  # a tracking pixel has 35 to 100
MAX_ICON_SIDE = 64  # pixels
MAX_ICON_COLOURS = 4
PALETTE_FORMATS = ("GIF", "PNG")


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a domain may set. thresholds: rule -> the limit instead of the table's."""

    min_side_pixels: int = 32
    max_aspect: float = 4.0
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule(Limited):
    """Drops a picture whose score is below `least` or above `most`."""

    reason: str
    score: Callable[[Original, Appearance], float]


def picture_rules(limits: PictureLimits) -> tuple[Rule, ...]:
    """The table, in the order in which a picture is judged.

    `blurred` is off (its limit is 0) until a domain sets one: a smooth sky and a plain drawing score as low as a
    blurred photograph does.
    """
    table = (
        Rule("too-small", lambda original, _: min(original.width, original.height), least=limits.min_side_pixels),
        Rule("extreme-aspect", lambda original, _: aspect(original), most=limits.max_aspect),
        Rule("too-few-bytes", lambda original, _: original.bytes, least=MIN_BYTES),
        Rule("blank", lambda _, seen: float(seen.blank), most=0),
        Rule("icon", is_icon, most=0),
        Rule("blurred", lambda _, seen: seen.sharpness, least=0),
    )
    return tuple(rule.limited(limits.thresholds.get(rule.reason)) for rule in table)


def aspect(original: Original) -> float:
    """Longer side over shorter side."""
    return max(original.width, original.height) / max(1, min(original.width, original.height))


def is_icon(original: Original, seen: Appearance) -> float:
    """1 for a small picture of a few flat colours in a format of palettes: a button, a bullet, a flag of a menu."""
    small = max(original.width, original.height) <= MAX_ICON_SIDE
    return float(small and original.format in PALETTE_FORMATS and seen.colours <= MAX_ICON_COLOURS)


def judge_picture(original: Original, seen: Appearance, rules: Sequence[Rule]) -> tuple[str | None, dict[str, float]]:
    """The reason to drop the picture, none for a good one, and every score."""
    scores = {rule.reason: round(float(rule.score(original, seen)), 4) for rule in rules}
    return first_failed(scores, rules), scores


def first_failed(scores: Mapping[str, float], rules: Sequence[Rule]) -> str | None:
    """The reason of the first rule that drops by these scores; a rule without a score says nothing."""
    return next((rule.reason for rule in rules if rule.reason in scores and not rule.allows(scores[rule.reason])), None)
