"""What can be counted in any text: its length, its kinds of characters, what it repeats."""

from __future__ import annotations

import unicodedata
from collections import Counter
from itertools import groupby

MIN_WORDS_TO_REPEAT = 8


def characters(text: str) -> float:
    return len(text)


def width(text: str) -> float:
    """Characters, where one of a wide script (a word of Chinese) counts as three."""
    return sum(3 if unicodedata.east_asian_width(c) == "W" and unicodedata.category(c) == "Lo" else 1 for c in text)


def letter_share(text: str) -> float:
    """Letters and their marks, of all that is no blank."""
    seen = [unicodedata.category(character)[0] for character in text if not character.isspace()]
    return sum(kind in "LM" for kind in seen) / len(seen) if seen else 0.0


def digit_share(text: str) -> float:
    """Digits and underscores, of all that is no blank: of a serial number nearly all."""
    seen = [character for character in text if not character.isspace()]
    return sum(character.isdigit() or character == "_" for character in seen) / len(seen) if seen else 0.0


def same_word_share(text: str) -> float:
    """How much of a text of some length is its most frequent word."""
    words = text.casefold().split()
    return Counter(words).most_common(1)[0][1] / len(words) if len(words) >= MIN_WORDS_TO_REPEAT else 0.0


def same_character_run(text: str) -> float:
    """The longest run of one character."""
    return max((sum(1 for _ in run) for _, run in groupby(text)), default=0)
