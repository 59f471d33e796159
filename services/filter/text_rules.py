"""Which texts are captions: an ordered table of named rules, each with a score, a threshold and a reason.

A rule measures, the table decides; every score is kept with the pair. The name of the candidate's own entity and the
scientific name of a species are captions, however short. Thresholds with their sources: COYO (3 to 256 words, 1,000
characters), data-juicer (letters and digits >= 0.25, a language is believed from 0.8), LAION (5 characters; we keep
"owl" and single CJK words). Where a rule measures a share, half a text that says something is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from services.filter import text_patterns as patterns
from services.filter.cleaning import clean_text
from services.filter.languages import Language, language_of
from services.filter.limited import Limited
from services.filter.text_measures import (
    characters,
    digit_share,
    letter_share,
    same_character_run,
    same_word_share,
    width,
)
from services.filter.text_patterns import Measure, is_scientific

MIN_LETTER_SHARE = 0.25
MAX_DIGIT_SHARE = 0.6
MAX_SAME_WORD_SHARE = 0.5
MAX_SAME_CHARACTER_RUN = 15
MAX_RESIDUE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class TextLimits:
    """What a domain may set; no languages = any. thresholds: rule -> the limit instead of the table's."""

    min_characters: int = 3
    max_characters: int = 500
    languages: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule(Limited):
    """Drops a text whose score is below `least` or above `most`. A name passes unless `for_names`."""

    reason: str
    score: Measure
    for_names: bool = False
    spares_species: bool = False
    last: bool = False  # where it drops, nothing else is measured: there is no text, or too much


@dataclass(frozen=True, slots=True)
class TextVerdict:
    """The cleaned text and why it is dropped; reason is none for a caption. scores: by rule."""

    text: str
    clean: str
    reason: str | None
    lang: str | None = None
    scores: dict[str, float] = field(default_factory=dict)


def text_rules(limits: TextLimits) -> tuple[Rule, ...]:
    """The table, in the order in which a text is judged."""
    table = (
        Rule("empty-text", characters, least=1, for_names=True, last=True),
        Rule("long-text", characters, most=limits.max_characters, for_names=True, last=True),
        Rule("web-address", patterns.whole(patterns.WEB_ADDRESS), most=0),
        Rule("personal-data", patterns.count(patterns.PERSONAL), most=0, for_names=True),
        Rule("price", patterns.price_share, most=MAX_RESIDUE_SHARE),
        Rule("date", patterns.date_share, most=MAX_RESIDUE_SHARE),
        Rule("no-letters", letter_share, least=MIN_LETTER_SHARE),
        Rule("short-text", width, least=limits.min_characters, spares_species=True),
        Rule("file-name", patterns.file_name, most=0),
        Rule("mostly-digits", digit_share, most=MAX_DIGIT_SHARE),
        Rule("camera-text", patterns.whole(patterns.CAMERA), most=0),
        Rule("placeholder-text", patterns.whole(patterns.PLACEHOLDER), most=0),
        Rule("stock-text", patterns.stock_share, most=MAX_RESIDUE_SHARE),
        Rule("consent-text", patterns.count(patterns.CONSENT), most=0),
        Rule("html-residue", patterns.count(patterns.RESIDUE), most=0),
        Rule("repeated-words", same_word_share, most=MAX_SAME_WORD_SHARE),
        Rule("repeated-characters", same_character_run, most=MAX_SAME_CHARACTER_RUN),
    )
    return tuple(rule.limited(limits.thresholds.get(rule.reason)) for rule in table)


def judge_text(text: str, rules: Sequence[Rule], limits: TextLimits, names: Collection[str] = ()) -> TextVerdict:
    """Clean a text and judge it. names: what the candidate's entity is called, in the form of `name_key`."""
    clean = clean_text(text)
    is_name, is_species = bool(names) and name_key(clean) in names, is_scientific(clean)
    reason: str | None = None
    scores: dict[str, float] = {}
    for rule in rules:
        score = scores[rule.reason] = round(rule.score(clean), 4)
        if rule.allows(score) or (is_name and not rule.for_names) or (is_species and rule.spares_species):
            continue
        reason = reason or rule.reason
        if rule.last:
            return TextVerdict(text, clean, reason, None, scores)
    language = language_of(clean)
    if language is None:
        return TextVerdict(text, clean, reason, None, scores)
    scores["language"] = language.confidence
    if reason is None and not (is_name or is_species) and _is_foreign(clean, language, limits.languages):
        reason = "foreign-language"
    return TextVerdict(text, clean, reason, language.code, scores)


def name_key(text: str) -> str:
    """The form in which names are compared."""
    return " ".join(text.casefold().split())


def _is_foreign(text: str, language: Language, wanted: Collection[str]) -> bool:
    """Only a long text in a language that is sure: short, upper-case and scientific ones are no reason."""
    return bool(wanted) and language.is_sure_for(text) and language.code not in wanted
