"""What becomes of a pair: its members in the tar and its row in the table; and the way back."""

from __future__ import annotations

import json
from typing import Any

from entityflow.codec import from_plain, to_plain
from entityflow.records import FilteredPair
from entityflow.shards import REMOVED, SUCCESS

Member = tuple[str, bytes]

MAIN_FIRST = {"alt": 0, "title": 1, "description": 2}


def caption(pair: FilteredPair) -> str:
    """The main text: alt text before title before description; of equal ones the first."""
    ranked = sorted(pair.texts, key=lambda text: MAIN_FIRST.get(text.kind, len(MAIN_FIRST)))
    return ranked[0].text if ranked else ""


def members(pair: FilteredPair) -> list[Member]:
    """The same members in the same order for every sample, as readers demand."""
    return [
        (f"{pair.image_id}.jpg", pair.payload),
        (f"{pair.image_id}.txt", caption(pair).encode()),
        (f"{pair.image_id}.json", json.dumps(description(pair), ensure_ascii=False, sort_keys=True).encode()),
    ]


def description(pair: FilteredPair) -> dict[str, Any]:
    """All of a pair but the picture's bytes. Every key is there in every sample."""
    return {name: value for name, value in to_plain(pair).items() if name != "payload"}


def pair_of(described: bytes, picture: bytes) -> FilteredPair:
    """The pair that a sample was made of."""
    return from_plain(FilteredPair, {**json.loads(described), "payload": picture})


def row(pair: FilteredPair, offset: int) -> dict[str, Any]:
    """img2dataset's columns and our own. `offset` is where the picture's bytes begin in its tar."""
    first = pair.sources[0] if pair.sources else None
    return {
        "key": pair.image_id,
        "url": first.url if first else None,
        "caption": caption(pair),
        "status": SUCCESS,
        "error_message": None,
        "width": pair.width,
        "height": pair.height,
        "original_width": pair.original.width,
        "original_height": pair.original.height,
        "sha256": pair.image_id,
        "page_url": first.page_url if first else None,
        "license": first.license.id if first and first.license else None,
        "creator": first.creator if first else None,
        "entities": [entity.id for entity in pair.entities],
        "candidates": [source.candidate_id for source in pair.sources],
        "urls": [source.url for source in pair.sources],
        "page_urls": [source.page_url for source in pair.sources],
        "phash": pair.hashes.phash,
        "dhash": pair.hashes.dhash,
        "hash_version": pair.hashes.version,
        "heldout": pair.heldout,
        "offset": offset,
        "bytes": len(pair.payload),
    }


def removed_row(image_id: str, reason: str) -> dict[str, Any]:
    """Of a sample that has left: nothing but its hash, by which a sharder knows that it must not come back."""
    return {"key": image_id, "sha256": image_id, "status": REMOVED, "error_message": reason, "heldout": False}
