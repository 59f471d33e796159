"""What tombstones take out of the shards: the same rule by which a rewrite folds them, looked at without writing.

A sample goes when its picture is forgotten, or its first source, which gave the bytes; of another sample only the
sources go that are covered.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from entityflow.admin import Admin
from entityflow.objects import Objects
from entityflow.records import Amend, FilteredPair
from entityflow.settings import Settings
from entityflow.shards import Manifest, list_manifests
from entityflow.stage import read_topic
from entityflow.tombstones import Tombstones

PAIRS, AMENDS = "filtered-pair", "amend"
COLUMNS = ("key", "status", "url", "page_url", "candidates", "urls", "page_urls")

Source = tuple[str, str | None, str | None]  # candidate_id, url, page_url


@dataclass
class Touched:
    """samples: image_ids that leave, by shard. sources: how many leave samples that stay, by shard.

    waiting: pairs that no shard holds yet, and that leave the shard which will hold them at its first rewrite.
    """

    samples: dict[str, list[str]] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    waiting: int = 0

    @property
    def shards(self) -> list[str]:
        return sorted({*self.samples, *self.sources})

    @property
    def sample_count(self) -> int:
        return sum(map(len, self.samples.values()))


def find_touched(settings: Settings, objects: Objects, tombstones: Tombstones) -> Touched:
    """Reads the table of every shard, merges that may not be in them yet, and the pairs behind the newest shards."""
    found, merged = Touched(), _covered_merges(settings, tombstones)
    ends: dict[int, int] = {}
    for manifest in list_manifests(objects):
        ends[manifest.input.partition] = manifest.input.end + 1
        for image_id, sources in _rows(objects, manifest):
            _judge(found, manifest.shard_id, tombstones, image_id, sources, merged.get(image_id, set()))
    found.waiting = sum(
        _leaves(tombstones, pair.image_id, [(s.candidate_id, s.url, s.page_url) for s in pair.sources])
        for pair in _waiting(settings, ends)
    )
    return found


def _judge(
    found: Touched, shard_id: str, tombstones: Tombstones, image_id: str, sources: Sequence[Source], merged: set[str]
) -> None:
    if _leaves(tombstones, image_id, sources):
        found.samples.setdefault(shard_id, []).append(image_id)
        return
    gone = merged | {candidate for candidate, url, page in sources if tombstones.of_source(url, page)}
    if gone:
        found.sources[shard_id] = found.sources.get(shard_id, 0) + len(gone)


def _leaves(tombstones: Tombstones, image_id: str, sources: Sequence[Source]) -> bool:
    first = tombstones.of_source(sources[0][1], sources[0][2]) if sources else None
    return bool(tombstones.of_picture(image_id) or first)


def _rows(objects: Objects, manifest: Manifest) -> Iterator[tuple[str, list[Source]]]:
    """(image_id, sources) of each sample that is still there."""
    import pyarrow.parquet as pq

    if manifest.table is None:
        return
    table = pq.ParquetFile(io.BytesIO(objects.get(manifest.table.key)))
    columns = [name for name in COLUMNS if name in table.schema_arrow.names]
    for row in table.read(columns=columns).to_pylist():
        if row["status"] == "success":
            yield row["key"], list(_sources(row))


def _sources(row: dict[str, Any]) -> Iterator[Source]:
    """Tables of the first writers name the first source alone."""
    urls = row.get("urls") or [row["url"]]
    pages = row.get("page_urls") or [row["page_url"]]
    yield from zip(row["candidates"], urls, pages, strict=False)


def _covered_merges(settings: Settings, tombstones: Tombstones) -> dict[str, set[str]]:
    """By image_id: the candidates that were merged into its sample, and are covered now."""
    covered: dict[str, set[str]] = {}
    for _, record in read_topic(settings, AMENDS):
        if isinstance(record, Amend) and record.kind == "merge":
            copy = tombstones.of_picture(record.duplicate_image_id or "")
            gone = {s.candidate_id for s in record.sources if copy or tombstones.of_source(s.url, s.page_url)}
            if gone:
                covered.setdefault(record.image_id, set()).update(gone)
    return covered


def _waiting(settings: Settings, ends: dict[int, int]) -> Iterator[FilteredPair]:
    admin = Admin(settings)
    starts = admin.starts((PAIRS, partition) for partition in range(admin.partitions([PAIRS])[PAIRS]))
    begin = {partition: max(low, ends.get(partition, 0)) for (_, partition), low in starts.items()}
    for _, record in read_topic(settings, PAIRS, begin):
        if isinstance(record, FilteredPair):
            yield record
