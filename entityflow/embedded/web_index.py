"""Search by words over the titles, alternative texts and keywords of the demo web's pictures: BM25."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

K1, B = 1.2, 0.75  # the usual constants of BM25
TITLE_WEIGHT = 2  # a word of the title counts as often


def words(text: str) -> list[str]:
    """Lower-case words without a plural's s."""
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in re.findall(r"\w+", text.lower())]


class WordIndex:
    """Documents are numbered in the order in which they are given: (title, other texts)."""

    def __init__(self, documents: Sequence[tuple[str, str]]) -> None:
        self._counts = [Counter(words(title) * TITLE_WEIGHT + words(rest)) for title, rest in documents]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._average = sum(self._lengths) / max(1, len(self._lengths))
        self._places: dict[str, list[int]] = defaultdict(list)
        for number, counts in enumerate(self._counts):
            for word in counts:
                self._places[word].append(number)

    def search(self, text: str, any_of: Sequence[str] = (), none_of: Sequence[str] = ()) -> list[int]:
        """The documents that share a word with the text, best first; `any_of` only helps, `none_of` excludes."""
        asked = words(text)
        found = {number for word in asked for number in self._places.get(word, ())}
        banned = {number for word in words(" ".join(none_of)) for number in self._places.get(word, ())}
        helped = asked + words(" ".join(any_of))
        return sorted(found - banned, key=lambda number: (-sum(self._score(word, number) for word in helped), number))

    def _score(self, word: str, number: int) -> float:
        places = len(self._places.get(word, ()))
        count = self._counts[number][word]
        if not count:
            return 0.0
        rarity = math.log(1 + (len(self._counts) - places + 0.5) / (places + 0.5))
        length = 1 - B + B * self._lengths[number] / self._average
        return rarity * count * (K1 + 1) / (count + K1 * length)
