"""What the filter thinks of one image and its texts, before it asks the index. A pure function of the record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from entityflow.records import MAX_TEXTS, Image, Original, PairText, Url
from services.filter.denied import DENIED_PAGE, DeniedPages
from services.filter.fingerprints import Appearance, Unhashable, appearance
from services.filter.picture_rules import PictureLimits, first_failed, judge_picture, picture_rules
from services.filter.text_rules import TextLimits, TextVerdict, judge_text, text_rules

NO_TEXT, BROKEN_PICTURE = "no-text", "broken-picture"


@dataclass(frozen=True, slots=True)
class Judgement:
    """reason is none for a pair that may be accepted. appearance is none for a sighting and a picture that is broken.

    offered: every text, cleaned; what is left for a pair that was accepted under other rules.
    """

    reason: str | None
    texts: tuple[PairText, ...]
    appearance: Appearance | None
    stats: dict[str, float] = field(default_factory=dict)
    dropped_texts: tuple[str, ...] = ()  # the reason of each
    offered: tuple[PairText, ...] = ()

    @property
    def passed(self) -> bool:
        return self.reason is None


class Rules:
    """Both tables of rules, made once from a domain's limits."""

    def __init__(self, pictures: PictureLimits, texts: TextLimits, denied_pages: Iterable[str] = ()) -> None:
        self._denied = DeniedPages(denied_pages)
        self._text_limits = texts
        self._text_rules = text_rules(texts)
        self._picture_rules = picture_rules(pictures)

    def text(self, text: str, names: Collection[str] = ()) -> TextVerdict:
        return judge_text(text, self._text_rules, self._text_limits, names)

    def image(self, image: Image, names: Collection[str] = ()) -> Judgement:
        """Judge the picture first, then each text for itself: a bad text costs that text, the last one the pair."""
        verdicts = [(kind, self.text(text, names)) for kind, text in offered_texts(image.candidate)]
        texts = _pair_texts(image.candidate, [one for one in verdicts if one[1].reason is None])
        dropped = tuple(verdict.reason for _, verdict in verdicts if verdict.reason)
        stats = _text_stats(verdicts)
        reason, seen = None if texts else (dropped or (NO_TEXT,))[0], None
        if image.payload is not None:
            picture_reason, seen, picture_stats = self._picture(image, image.payload)
            reason, stats = picture_reason or reason, stats | picture_stats
        if self.denies((image.candidate.address, image.candidate.page_url, image.final_url)):
            reason = DENIED_PAGE
        return Judgement(reason, texts, seen, stats, dropped, _pair_texts(image.candidate, verdicts))

    def denies(self, addresses: Iterable[str | None]) -> bool:
        """Whether a picture or its page lies where nothing is taken from."""
        return self._denied.covers(*addresses)

    def picture_by(self, scores: Mapping[str, float]) -> str | None:
        """The reason to drop a picture of these scores; none for a good one."""
        return first_failed(scores, self._picture_rules)

    def picture(self, original: Original, seen: Appearance) -> tuple[str | None, dict[str, float]]:
        """The reason to drop a picture, none for a good one, and its scores."""
        reason, scores = judge_picture(original, seen, self._picture_rules)
        scores |= {
            "contrast": round(seen.contrast, 2),
            "content-share": round(seen.content_share, 4),
            "colours": seen.colours,
        }
        return reason, scores

    def _picture(self, image: Image, payload: bytes) -> tuple[str | None, Appearance | None, dict[str, float]]:
        try:
            seen = appearance(payload)
        except Unhashable:
            return BROKEN_PICTURE, None, {}
        if image.original is None:
            return BROKEN_PICTURE, seen, {}
        reason, scores = self.picture(image.original, seen)
        return reason, seen, scores


def offered_texts(candidate: Url) -> Iterator[tuple[str, str]]:
    """(kind, text) of what came with the address, best first."""
    for kind, text in (
        ("alt", candidate.alt_text),
        ("title", candidate.title),
        ("description", candidate.description),
    ):
        if text and not text.isspace():
            yield kind, text


def _pair_texts(candidate: Url, verdicts: list[tuple[str, TextVerdict]]) -> tuple[PairText, ...]:
    """The cleaned texts, each once."""
    kept: dict[str, PairText] = {}
    for kind, verdict in verdicts:
        key = verdict.clean.casefold()
        if key and key not in kept:
            lang = verdict.lang or candidate.lang
            kept[key] = PairText(text=verdict.clean, kind=kind, lang=lang, source=candidate.candidate_id)
    return tuple(kept.values())[:MAX_TEXTS]


def _text_stats(verdicts: list[tuple[str, TextVerdict]]) -> dict[str, float]:
    """By kind and rule; a rule of a text that is not there scored 0."""
    return {f"{kind}-{name}": score for kind, verdict in verdicts for name, score in verdict.scores.items() if score}
