"""What becomes of a sample by what was learned after it was accepted. Pure, and the same for any order of it.

A merge adds texts, entities and a source, once for each candidate. A tombstone takes out the sources that it covers,
or the sample: by its own hash, or where its first source goes, which gave the bytes. Other kinds of amend take out the
source of their candidate or, where they name none, the sample; `refilter-text` takes out texts, and the sample with the
last of them. What is taken out wins over what is added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from entityflow.codec import encode
from entityflow.records import (
    MAX_EVIDENCE,
    MAX_SOURCES,
    MAX_TEXTS,
    Amend,
    FilteredPair,
    PairEntity,
    PairSource,
    PairText,
    Permission,
)
from entityflow.tombstones import FORGOTTEN, Tombstones

MERGE, FORGET = "merge", "forget"
REMOVING = (FORGET, "decontaminate", "refilter")
REFILTER_TEXT = "refilter-text"
KINDS = (MERGE, REFILTER_TEXT, *REMOVING)
ALLOWED = "allowed"


Bundle = FilteredPair | Amend  # texts, entities and sources that came together


@dataclass(frozen=True, slots=True)
class Fate:
    """pair none: the sample leaves, for `reason`. forgotten: what a tombstone took out, sources or the sample."""

    pair: FilteredPair | None
    reason: str | None = None
    forgotten: int = 0
    over_caps: int = 0


def without_picture(fate: Fate) -> Fate:
    """To be kept with many others; the picture is in the version before."""
    return fate if fate.pair is None else replace(fate, pair=replace(fate.pair, payload=b""))


def fold(pair: FilteredPair, amends: Iterable[Amend], tombstones: Tombstones) -> Fate:
    """The sample with all of it; equal to `pair` where nothing is new."""
    known = sorted((one for one in amends if one.kind in KINDS), key=encode)
    forgotten = set(_forgotten(pair, known, tombstones))
    unwanted = {one.candidate_id: _reason(one) for one in reversed(known) if one.kind in REMOVING}
    first = pair.sources[0].candidate_id if pair.sources else ""
    if tombstones.of_picture(pair.image_id) or first in forgotten:
        return Fate(None, FORGOTTEN, forgotten=1)
    if None in unwanted or first in unwanted:
        reason = unwanted.get(None) or unwanted[first]
        return Fate(None, reason, forgotten=int(reason == FORGOTTEN))
    gone = forgotten | unwanted.keys()
    merges = [one for one in _new_merges(pair, known) if gone.isdisjoint(_candidates(one))]
    taken = {text: _reason(one) for one in reversed(known) if one.kind == REFILTER_TEXT for text in one.texts}
    if not merges and gone.isdisjoint(_candidates(pair)) and taken.keys().isdisjoint(pair.texts):
        return Fate(pair)
    joined = _joined(pair, merges, {one for one in gone if one is not None}, taken.keys())
    if pair.texts and joined.pair is not None and not joined.pair.texts:
        return Fate(None, taken.get(pair.texts[0]) or REFILTER_TEXT)
    return replace(joined, forgotten=len(forgotten & _candidates(pair)))


def may_change(candidates: Sequence[str], amends: Iterable[Amend], tombstones: Tombstones) -> bool:
    """Whether a sample with these candidates (first, then sorted) must be looked at: without its texts and sources."""
    is_full = len(candidates) >= MAX_SOURCES
    for amend in amends:
        is_there = amend.candidate_id in candidates
        if amend.kind == REFILTER_TEXT or (amend.kind in REMOVING and (amend.candidate_id is None or is_there)):
            return True
        if amend.kind == MERGE and is_there and is_forgotten_copy(amend, tombstones):
            return True
        fits = not is_full or (amend.candidate_id or "") < candidates[-1]
        if amend.kind == MERGE and _is_allowed(amend) and fits and not is_there and not _is_covered(amend, tombstones):
            return True
    return False


def _is_allowed(amend: Amend) -> bool:
    return amend.permission is None or amend.permission.decision == ALLOWED


def is_forgotten_copy(amend: Amend, tombstones: Tombstones) -> bool:
    return amend.duplicate_image_id is not None and tombstones.of_picture(amend.duplicate_image_id) is not None


def _is_covered(amend: Amend, tombstones: Tombstones) -> bool:
    return is_forgotten_copy(amend, tombstones) or any(
        tombstones.of_source(source.url, source.page_url) for source in amend.sources
    )


def _reason(amend: Amend) -> str:
    return FORGOTTEN if amend.kind == FORGET else amend.reason or amend.kind


def _forgotten(pair: FilteredPair, amends: Sequence[Amend], tombstones: Tombstones) -> Iterable[str]:
    """Candidates that a tombstone covers: by where they were found, or by the copy of the picture that they gave."""
    bundles: list[Bundle] = [pair, *amends]
    for bundle in bundles:
        for source in bundle.sources:
            if tombstones.of_source(source.url, source.page_url):
                yield source.candidate_id
    for amend in amends:
        if amend.candidate_id and is_forgotten_copy(amend, tombstones):
            yield amend.candidate_id


def _candidates(bundle: Bundle) -> set[str]:
    own = {bundle.candidate_id} if isinstance(bundle, Amend) and bundle.candidate_id else set()
    return {source.candidate_id for source in bundle.sources} | own


def _new_merges(pair: FilteredPair, amends: Iterable[Amend]) -> list[Amend]:
    """One for each candidate that the sample does not have yet."""
    found: dict[str | None, Amend] = {}
    for amend in amends:
        if amend.kind == MERGE and _is_allowed(amend) and _candidates(pair).isdisjoint(_candidates(amend)):
            found.setdefault(amend.candidate_id, amend)
    return list(found.values())


def _joined(pair: FilteredPair, merges: Sequence[Amend], gone: set[str], taken: Collection[PairText]) -> Fate:
    bundles: list[Bundle] = [pair, *merges]
    offered = [source for bundle in bundles for source in bundle.sources if source.candidate_id not in gone]
    first, *others = offered
    sources = (first, *sorted(set(others), key=_place_of_source))
    dropped = gone | {source.candidate_id for source in sources[MAX_SOURCES:]}
    texts = tuple(text for text in _texts(bundles, first.candidate_id, dropped) if text not in taken)
    joined = replace(
        pair,
        sources=sources[:MAX_SOURCES],
        texts=texts[:MAX_TEXTS],
        entities=_entities(bundles),
        permission=_permission(bundles),
    )
    return Fate(joined, over_caps=len(sources[MAX_SOURCES:]) + len(texts[MAX_TEXTS:]))


def _place_of_source(source: PairSource) -> tuple[str, str, str]:
    return source.candidate_id, source.url, source.page_url or ""


def _texts(bundles: Iterable[Bundle], first: str, dropped: set[str]) -> tuple[PairText, ...]:
    """Those of the first source in their order, then the others."""
    distinct = dict.fromkeys(text for bundle in bundles for text in bundle.texts if text.source not in dropped)
    own = [text for text in distinct if text.source == first]
    others = [text for text in distinct if text.source != first]
    return (*own, *sorted(others, key=lambda text: (text.source, text.kind, text.lang or "", text.text)))


def _entities(bundles: Iterable[Bundle]) -> tuple[PairEntity, ...]:
    queries: dict[str, set[str]] = {}
    for bundle in bundles:
        for entity in bundle.entities:
            queries.setdefault(entity.id, set()).update(entity.query_ids)
    return tuple(PairEntity(id=one, query_ids=tuple(sorted(asked))) for one, asked in sorted(queries.items()))


def _permission(bundles: Sequence[Bundle]) -> Permission:
    given = [one.permission for one in bundles if one.permission is not None]
    evidence = sorted({line for permission in given for line in permission.evidence})
    return Permission(decision=given[0].decision, evidence=tuple(evidence[:MAX_EVIDENCE]))
