"""Pictures from the bucket: examples of each reason, and any picture that is in a shard."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from entityflow.examples import ROOT, Example, example_of, kept_examples
from entityflow.objects import ObjectMissing, Objects
from entityflow.reasons import REASONS
from entityflow.shards import Manifest, list_manifests

MOST_TABLES = 64  # of the newest shards that are looked into
KEPT_PICTURES = 512


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture's bytes lie in a tar."""

    key: str
    offset: int
    bytes: int


class Gallery:
    """Reads the bucket when it is asked, and keeps what it has read: none of it changes."""

    def __init__(self, open_objects: Callable[[], Objects]) -> None:
        self._open = open_objects
        self._tables: dict[str, dict[str, Place]] = {}
        self.example = lru_cache(KEPT_PICTURES)(self._example)

    @cached_property
    def _objects(self) -> Objects:
        return self._open()

    def reasons(self) -> dict[str, int]:
        """How many examples there are of each reason."""
        return {reason: len(images) for reason, images in sorted(kept_examples(self._objects).items())}

    def examples(self, reason: str) -> list[dict[str, Any]]:
        """What is known of each example of a reason."""
        images = kept_examples(self._objects).get(reason, [])
        found = (self.example(reason, image_id) for image_id in images)
        return [_shown(example_of(data)) for data in found if data is not None]

    def _example(self, reason: str, image_id: str) -> bytes | None:
        try:
            return self._objects.get(f"{ROOT}{reason}/{image_id}.jpg")
        except ObjectMissing:
            return None

    def picture(self, image_id: str) -> bytes | None:
        """A picture of one of the newest shards."""
        for table in self._newest_tables():
            if place := table.get(image_id):
                return self._objects.get_range(place.key, place.offset, place.bytes)
        return None

    def _newest_tables(self) -> Iterator[dict[str, Place]]:
        manifests = [one for one in list_manifests(self._objects) if one.table is not None]
        newest = sorted(manifests, key=lambda one: one.input.start, reverse=True)[:MOST_TABLES]
        known, self._tables = self._tables, {}
        for manifest in newest:
            assert manifest.table is not None
            sha256 = manifest.table.sha256
            self._tables[sha256] = known.get(sha256) or _places(self._objects.get(manifest.table.key), manifest)
            yield self._tables[sha256]


def _places(table: bytes, manifest: Manifest) -> dict[str, Place]:
    rows = pq.read_table(io.BytesIO(table), columns=["key", "offset", "bytes", "heldout"]).to_pylist()
    tars = {False: manifest.tar, True: manifest.heldout}
    found = {}
    for row in rows:
        tar = tars[bool(row["heldout"])]
        if tar is not None and row["offset"] is not None:
            found[row["key"]] = Place(tar.key, row["offset"], row["bytes"])
    return found


def _shown(example: Example) -> dict[str, Any]:
    try:
        host = urlsplit(example.url or "").hostname
    except ValueError:
        host = None
    return {
        "image_id": example.image_id,
        "text": example.text,
        "host": host,
        "canonical_id": example.canonical_id,
        "distance": example.distance,
    }


def meaning(reason: str) -> dict[str, str]:
    """What a reason says, and what one can do."""
    known = REASONS.get(reason)
    return {"meaning": known.meaning if known else "", "cure": known.cure if known else ""}
