"""Which texts are captions: an ordered table of named rules, each with a score, a threshold and a reason.

A rule measures, the table decides; every score is kept with the pair. The name of the candidate's own entity is always
a caption, however short. Thresholds with their sources: COYO (3 to 256 words, 1,000 characters), data-juicer
(letters and digits >= 0.25, a language is believed from 0.8), LAION (5 characters; we keep "owl" and single CJK words).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from services.filter.cleaning import clean_text
from services.filter.languages import Language, language_of

MIN_LETTER_SHARE = 0.25
MAX_SAME_WORD_SHARE = 0.5
MIN_WORDS_TO_REPEAT = 8
MAX_SAME_CHARACTER_RUN = 15

CAMERA_WORDS = "img|dsc[nf]?|dscf|pict|gopr|dji|pxl|mvi|wp|p|image|photo|picture|screen ?shot|untitled"
PICTURE_ENDINGS = r"\.(?:jpe?g|png|gif|webp|avif|bmp|tiff?|svg|heic)"
FILE_NAME = re.compile(
    rf"(?:\S+{PICTURE_ENDINGS}"  # one word with the ending of a picture
    rf"|(?:{CAMERA_WORDS})[ _-]*\(?\d{{2,}}[\d _:()-]*(?:{PICTURE_ENDINGS})?"  # what cameras and phones write
    r"|(?=\S*\d)[0-9a-f]{12,}"  # a hash
    r"|[\d\W_]*)",
    re.IGNORECASE,
)
WEB_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[^\s@]+@[^\s@]+\.[a-z]{2,}", re.IGNORECASE)
PLACEHOLDER = re.compile(
    r"(?:no )?(?:image|photo|picture|thumbnail|avatar|logo|icon|placeholder|untitled|banner|default)"
    r"(?: not)?(?: available| found| placeholder)?"
    r"|image may contain\b.*|click to enlarge|loading\W*|advertisement",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class TextLimits:
    """What a domain may set; no languages = any."""

    min_characters: int = 3
    max_characters: int = 500
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Drops a text whose score is below `least` or above `most`. A name passes unless `for_names`."""

    reason: str
    score: Callable[[str], float]
    least: float = float("-inf")
    most: float = float("inf")
    for_names: bool = False


@dataclass(frozen=True, slots=True)
class TextVerdict:
    """The cleaned text and why it is dropped; reason is none for a caption. scores: by rule, as far as they went."""

    text: str
    clean: str
    reason: str | None
    lang: str | None = None
    scores: dict[str, float] = field(default_factory=dict)


def text_rules(limits: TextLimits) -> tuple[Rule, ...]:
    """The table, in the order in which a text is judged."""
    return (
        Rule("empty-text", characters, least=1, for_names=True),
        Rule("long-text", characters, most=limits.max_characters, for_names=True),
        Rule("no-letters", letter_share, least=MIN_LETTER_SHARE),
        Rule("short-text", width, least=limits.min_characters),
        Rule("file-name", _whole(FILE_NAME), most=0),
        Rule("web-address", _whole(WEB_ADDRESS), most=0),
        Rule("placeholder-text", _whole(PLACEHOLDER), most=0),
        Rule("repeated-words", same_word_share, most=MAX_SAME_WORD_SHARE),
        Rule("repeated-characters", same_character_run, most=MAX_SAME_CHARACTER_RUN),
    )


def judge_text(text: str, rules: Sequence[Rule], limits: TextLimits, names: Collection[str] = ()) -> TextVerdict:
    """Clean a text and judge it. names: what the candidate's entity is called, in the form of `name_key`."""
    clean = clean_text(text)
    scores: dict[str, float] = {}
    is_name = bool(names) and name_key(clean) in names
    for rule in rules:
        score = scores[rule.reason] = round(rule.score(clean), 4)
        if not rule.least <= score <= rule.most and (rule.for_names or not is_name):
            return TextVerdict(text, clean, rule.reason, None, scores)
    language = language_of(clean)
    if language is None:
        return TextVerdict(text, clean, None, None, scores)
    scores["language"] = language.confidence
    foreign = not is_name and _is_foreign(clean, language, limits.languages)
    return TextVerdict(text, clean, "foreign-language" if foreign else None, language.code, scores)


def name_key(text: str) -> str:
    """The form in which names are compared."""
    return " ".join(text.casefold().split())


# --- what the rules measure ---


def characters(text: str) -> float:
    return len(text)


def width(text: str) -> float:
    """Characters, where one of a wide script (a word of Chinese) counts as three."""
    return sum(3 if unicodedata.east_asian_width(c) == "W" and unicodedata.category(c) == "Lo" else 1 for c in text)


def letter_share(text: str) -> float:
    """Letters and their marks, of all that is no blank."""
    seen = [unicodedata.category(character)[0] for character in text if not character.isspace()]
    return sum(kind in "LM" for kind in seen) / len(seen) if seen else 0.0


def same_word_share(text: str) -> float:
    """How much of a text of some length is its most frequent word."""
    words = text.casefold().split()
    return Counter(words).most_common(1)[0][1] / len(words) if len(words) >= MIN_WORDS_TO_REPEAT else 0.0


def same_character_run(text: str) -> float:
    """The longest run of one character."""
    longest = run = 0
    previous = ""
    for character in text:
        run = run + 1 if character == previous else 1
        longest, previous = max(longest, run), character
    return longest


def _whole(pattern: re.Pattern[str]) -> Callable[[str], float]:
    return lambda text: float(pattern.fullmatch(text) is not None)


def _is_foreign(text: str, language: Language, wanted: Collection[str]) -> bool:
    """Only a long text in a language that is sure: short, upper-case and scientific ones are no reason."""
    return bool(wanted) and language.is_sure_for(text) and language.code not in wanted
