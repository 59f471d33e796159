"""What the shards say of their samples, without the pictures: texts, sources, scores."""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from entityflow.codec import from_plain
from entityflow.errors import LossDetected
from entityflow.objects import Objects
from entityflow.records import Benchmark, Original, PairEntity, PairSource, PairText
from entityflow.shards import ShardObject, list_manifests


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The part of a pair that rules look at."""

    image_id: str
    original: Original
    texts: tuple[PairText, ...] = ()
    entities: tuple[PairEntity, ...] = ()
    sources: tuple[PairSource, ...] = ()
    stats: dict[str, float] = field(default_factory=dict)
    benchmark: Benchmark | None = None
    heldout: bool = False


class Samples:
    """Every sample of the newest versions, in the order of shards; may be gone through again."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def __iter__(self) -> Iterator[Sample]:
        for manifest in list_manifests(self._objects):
            for tar in (manifest.tar, manifest.heldout):
                if tar is not None:
                    yield from self._of(tar)

    def _of(self, stored: ShardObject) -> Iterator[Sample]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "shard.tar"
            self._objects.download(stored.key, path)
            try:
                with tarfile.open(path) as tar:
                    yield from _described(tar)
            except (tarfile.TarError, ValueError, TypeError) as exc:
                raise LossDetected(
                    f"{stored.key}: {exc}", hint="entityflow shards verify lists what is damaged"
                ) from exc


def _described(tar: tarfile.TarFile) -> Iterator[Sample]:
    for member in tar:
        if member.name.endswith(".json") and (content := tar.extractfile(member)):
            yield from_plain(Sample, json.load(content))
