"""How a candidate ends, by what the filter judged and what the index answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from entityflow.heldout import HELDOUT
from entityflow.records import Amend, FilteredPair, Image, Match, Origin, PairEntity, PairSource, Url
from services.filter.judging import Judgement

ACCEPTED, MERGED, UNKNOWN_PICTURE = "accepted", "merged", "unknown-picture"
BENCHMARK, NEAR_HELDOUT = "benchmark", "near-heldout"


@dataclass(frozen=True, slots=True)
class Ending:
    """The record that follows and the word of the outcome; result none = no outcome yet, the address goes once more."""

    result: str | None
    record: FilteredPair | Amend | Url | None = None


def ending(image: Image, origin: Origin, judgement: Judgement, match: Match, heldout: bool) -> Ending:
    """What the answer of the index makes of an image at `origin`.

    A canonical with its own origin is accepted however it would be judged now: its acceptance may be out already.
    """
    if is_accepted(image, origin, match):
        return Ending(ACCEPTED, _pair(image, origin, judgement, match, heldout))
    if judgement.reason is not None:
        return Ending(judgement.reason)
    if match.benchmark is not None and match.canonical_id is None:
        return Ending(NEAR_HELDOUT if match.benchmark.name == HELDOUT else BENCHMARK)
    if match.canonical_id is not None:
        return Ending(MERGED, _merge(image, judgement, match, match.canonical_id))
    if image.candidate.refetch:
        return Ending(UNKNOWN_PICTURE)
    return Ending(None, replace(image.candidate, refetch=True))


def is_accepted(image: Image, origin: Origin, match: Match) -> bool:
    return image.payload is not None and match.canonical_id == image.image_id and match.origin == origin


def _pair(image: Image, origin: Origin, judgement: Judgement, match: Match, heldout: bool) -> FilteredPair:
    assert image.payload is not None
    assert image.original is not None
    assert match.hashes is not None
    return FilteredPair(
        image_id=image.image_id,
        payload=image.payload,
        format=image.format or "",
        width=image.width or 0,
        height=image.height or 0,
        original=image.original,
        texts=judgement.texts or judgement.offered,
        entities=_entities(image.candidate),
        sources=(_source(image),),
        stats=_sorted(judgement.stats),
        hashes=match.hashes,
        benchmark=match.benchmark,
        origin=origin,
        heldout=heldout,
        permission=image.permission,
    )


def _merge(image: Image, judgement: Judgement, match: Match, canonical_id: str) -> Amend:
    """Texts, entities, sources and permission go to the sample that has the picture."""
    is_same = canonical_id == image.image_id
    return Amend(
        image_id=canonical_id,
        kind="merge",
        candidate_id=image.candidate.candidate_id,
        texts=judgement.texts,
        entities=_entities(image.candidate),
        sources=(_source(image),),
        permission=image.permission,
        duplicate_image_id=None if is_same else image.image_id,
        distance=None if is_same else match.distance,
    )


def _entities(candidate: Url) -> tuple[PairEntity, ...]:
    if candidate.entity_id is None:
        return ()
    queries = (candidate.query_id,) if candidate.query_id else ()
    return (PairEntity(id=candidate.entity_id, query_ids=queries),)


def _source(image: Image) -> PairSource:
    candidate = image.candidate
    return PairSource(
        candidate_id=candidate.candidate_id,
        url=image.final_url or candidate.address,
        page_url=candidate.page_url,
        license=candidate.license,
        creator=candidate.creator,
    )


def _sorted(stats: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(stats.items()))
