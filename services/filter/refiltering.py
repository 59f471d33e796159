"""What the rules of today say of samples that are in shards already, and of texts that only all of them together show.

A picture's scores were stored with it; texts are judged anew. A text that many pictures bear says nothing of any of
them, nor one that most pictures of a host bear; names of the sample's own entities are spared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import urlsplit

from entityflow.records import Amend, PairText
from services.filter.denied import DENIED_PAGE
from services.filter.ending import BENCHMARK
from services.filter.judging import NO_TEXT, Rules
from services.filter.samples import Sample
from services.filter.text_rules import name_key

REFILTER = "refilter"
REFILTER_TEXT = "refilter-text"
COMMON_TEXT, HOST_TEXT = "common-text", "host-text"
MIN_HOST_PICTURES = 10
MAX_HOST_SHARE = 0.5  # of a host's pictures: more is the site's own name

EntityNames = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a domain may set beside the rules' own thresholds."""

    max_text_pictures: int
    max_benchmark_distance: int


@dataclass(frozen=True, slots=True)
class Refiltered:
    """A sample that leaves for `reason`, or that loses texts, each with its reason."""

    image_id: str
    reason: str | None
    texts: tuple[tuple[PairText, str], ...] = ()

    def amend(self) -> Amend:
        if self.reason is not None:
            return Amend(image_id=self.image_id, kind=REFILTER, reason=self.reason)
        texts = tuple(text for text, _ in self.texts)
        return Amend(image_id=self.image_id, kind=REFILTER_TEXT, texts=texts, reason=self.texts[0][1])


class Repeats:
    """How many pictures bear a text, in all and of one host. 64-bit keys: about 100 bytes a distinct text."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._pictures: Counter[int] = Counter()
        self._of_host: Counter[int] = Counter()
        self._hosts: Counter[str] = Counter()
        for sample in samples:
            self._count(sample)

    def _count(self, sample: Sample) -> None:
        keys = {name_key(text.text) for text in sample.texts}
        host = _host(sample)
        self._hosts[host] += 1
        self._pictures.update(_number(key) for key in keys)
        self._of_host.update(_number(host, key) for key in keys)

    def reason(self, sample: Sample, text: PairText, max_pictures: int) -> str | None:
        """Why a text says nothing of its picture; none for one that does."""
        key, host = name_key(text.text), _host(sample)
        if self._pictures[_number(key)] > max_pictures:
            return COMMON_TEXT
        pictures = self._hosts[host]
        if pictures >= MIN_HOST_PICTURES and self._of_host[_number(host, key)] > MAX_HOST_SHARE * pictures:
            return HOST_TEXT
        return None


class Refilter:
    def __init__(self, rules: Rules, bounds: Bounds, names: EntityNames, repeats: Repeats) -> None:
        self._rules, self._bounds, self._names, self._repeats = rules, bounds, names, repeats

    def judge(self, sample: Sample) -> Refiltered | None:
        """None for a sample that stays as it is."""
        if reason := self._picture(sample):
            return Refiltered(sample.image_id, reason)
        bad = tuple(self._bad_texts(sample))
        if len(bad) == len(sample.texts):
            return Refiltered(sample.image_id, bad[0][1] if bad else NO_TEXT)
        return Refiltered(sample.image_id, None, bad) if bad else None

    def _picture(self, sample: Sample) -> str | None:
        if self._rules.denies(address for source in sample.sources[:1] for address in (source.url, source.page_url)):
            return DENIED_PAGE
        near = sample.benchmark
        if near is not None and near.distance <= self._bounds.max_benchmark_distance:
            return BENCHMARK
        return self._rules.picture_by(sample.stats)

    def _bad_texts(self, sample: Sample) -> Iterator[tuple[PairText, str]]:
        names = self._names_of(sample)
        for text in sample.texts:
            reason = self._rules.text(text.text, names).reason
            if reason is None and name_key(text.text) not in names:
                reason = self._repeats.reason(sample, text, self._bounds.max_text_pictures)
            if reason is not None:
                yield text, reason

    def _names_of(self, sample: Sample) -> Collection[str]:
        return {name for entity in sample.entities for name in self._names.get(entity.id, ())}


def _host(sample: Sample) -> str:
    try:
        return urlsplit(sample.sources[0].url).hostname or "" if sample.sources else ""
    except ValueError:
        return ""


def _number(*parts: str) -> int:
    return int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest(), "big")
