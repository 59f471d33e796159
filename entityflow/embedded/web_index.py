"""Search by words over the titles, alternative texts and keywords of the demo web's pictures: BM25."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

K1, B = 1.2, 0.75  # the usual constants of BM25
TITLE_WEIGHT = 2  # a word of the title counts as often
MIN_SCORE_SHARE = 0.6  # of the best hit's score: "drawing of a cat" finds cats, not every drawing
SILENT = frozenset(["a", "an", "and", "at", "in", "is", "of", "on", "or", "the", "this", "to", "with"])


def words(text: str) -> list[str]:
    """Lower-case words that say something, without a plural's s."""
    found = (word for word in re.findall(r"\w+", text.lower()) if word not in SILENT)
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in found]


class WordIndex:
    """Documents are numbered in the order in which they are given: (title, other texts)."""

    def __init__(self, documents: Sequence[tuple[str, str]]) -> None:
        self._counts = [Counter(words(title) * TITLE_WEIGHT + words(rest)) for title, rest in documents]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._average = sum(self._lengths) / max(1, len(self._lengths)) or 1.0
        self._places: dict[str, list[int]] = defaultdict(list)
        for number, counts in enumerate(self._counts):
            for word in counts:
                self._places[word].append(number)

    def search(self, text: str, any_of: Sequence[str] = (), none_of: Sequence[str] = ()) -> list[int]:
        """The documents that share a word with the text, best first; `any_of` only helps, `none_of` excludes."""
        asked, banned_words = words(text), words(" ".join(none_of))
        scores = {number: self._total(asked, number) for number in self._with(asked) - self._with(banned_words)}
        least = MIN_SCORE_SHARE * max(scores.values(), default=0.0)
        helped = words(" ".join(any_of))
        rank = {number: score + self._total(helped, number) for number, score in scores.items() if score >= least}
        return sorted(rank, key=lambda number: (-rank[number], number))

    def _with(self, asked: Sequence[str]) -> set[int]:
        return {number for word in asked for number in self._places.get(word, ())}

    def _total(self, asked: Sequence[str], number: int) -> float:
        return sum(self._score(word, number) for word in asked)

    def _score(self, word: str, number: int) -> float:
        places = len(self._places.get(word, ()))
        count = self._counts[number][word]
        if not count:
            return 0.0
        rarity = math.log(1 + (len(self._counts) - places + 0.5) / (places + 0.5))
        length = 1 - B + B * self._lengths[number] / self._average
        return rarity * count * (K1 + 1) / (count + K1 * length)
