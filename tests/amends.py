"""What is learned of the pairs of `tests.filtered_pairs` later."""

from entityflow.records import Amend, PairEntity, PairSource, PairText, Permission
from entityflow.tombstones import Tombstones, tombstone_of
from tests.filtered_pairs import pair


def merge(number: int, candidate: str, copy: str | None = None, **more: object) -> Amend:
    """The picture of a pair was seen again, at an address of its own."""
    text = PairText(text=f"seen again by {candidate}", kind="alt", lang="en", source=candidate)
    fields = {
        "image_id": pair(number).image_id,
        "kind": "merge",
        "candidate_id": candidate,
        "texts": (text,),
        "entities": (PairEntity(id="Q1", query_ids=(f"q-{candidate}",)),),
        "sources": (PairSource(candidate_id=candidate, url=f"http://{candidate}.test/x", page_url=f"http://p.test/{candidate}"),),
        "permission": Permission(decision="allowed", evidence=(f"robots.txt of {candidate}",)),
        "duplicate_image_id": copy,
    }  # fmt: skip
    return Amend(**{**fields, **more})


def removal(number: int, kind: str, reason: str | None = None, candidate: str | None = None) -> Amend:
    return Amend(image_id=pair(number).image_id, kind=kind, reason=reason, candidate_id=candidate)


def without(number: int, *texts: PairText, reason: str = "common-text") -> Amend:
    return Amend(image_id=pair(number).image_id, kind="refilter-text", texts=texts, reason=reason)


def forgotten(**named: str) -> Tombstones:
    """What covers these: sha256, url, page, host."""
    stones = Tombstones()
    for kind, text in named.items():
        stone = tombstone_of(kind, text, 0.0)
        stones.learn(stone.id, stone)
    return stones
