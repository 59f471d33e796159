"""What becomes of a pair: its members in the tar, and its row in the table."""

from __future__ import annotations

import json
from typing import Any

from entityflow.codec import to_plain
from entityflow.records import FilteredPair

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
    """Every key is there in every sample."""
    return {
        "image_id": pair.image_id,
        "width": pair.width,
        "height": pair.height,
        "original": to_plain(pair.original),
        "texts": to_plain(pair.texts),
        "entities": to_plain(pair.entities),
        "sources": to_plain(pair.sources),
        "hashes": to_plain(pair.hashes),
        "stats": pair.stats,
        "benchmark": to_plain(pair.benchmark),
        "permission": to_plain(pair.permission),
        "heldout": pair.heldout,
    }


def row(pair: FilteredPair, offset: int) -> dict[str, Any]:
    """img2dataset's columns and our own. `offset` is where the picture's bytes begin in its tar."""
    first = pair.sources[0] if pair.sources else None
    return {
        "key": pair.image_id,
        "url": first.url if first else None,
        "caption": caption(pair),
        "status": "success",
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
        "phash": pair.hashes.phash,
        "dhash": pair.hashes.dhash,
        "heldout": pair.heldout,
        "offset": offset,
        "bytes": len(pair.payload),
    }
