"""Benchmarks: which were added, and their pictures as the index is told of them: through the log of all others."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from entityflow.codec import from_plain, to_plain
from entityflow.objects import Objects
from entityflow.records import Benchmark, Fingerprint, Hashes, Origin

ROOT = "benchmarks/"
NOWHERE = Origin(topic_uuid="", partition=0, offset=0)  # a benchmark's picture lies in no topic


def benchmark_fingerprint(name: str, version: int, hashes: Hashes) -> Fingerprint:
    """A picture of the benchmark, first known in this version of the benchmark index.

    Its id depends on name and hashes alone: what is told twice is one picture to the index.
    """
    identity = "\0".join((name, str(hashes.version), hashes.phash, hashes.dhash, hashes.detail or ""))
    return Fingerprint(
        image_id=hashlib.sha256(identity.encode()).hexdigest(),
        origin=NOWHERE,
        passed=False,
        hashes=hashes,
        benchmark=Benchmark(index_version=version, name=name, distance=0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSet:
    """One `benchmark add`. version: of the benchmark index since then; digest: of the name and all its pictures."""

    version: int
    name: str
    pictures: int
    plain: int  # too plain to be compared: they guard nothing
    unreadable: int
    hash_version: int
    digest: str

    @property
    def key(self) -> str:
        return f"{ROOT}{self.version:06d}.json"


def known_sets(objects: Objects) -> list[BenchmarkSet]:
    """Every set that was added, by version."""
    return [from_plain(BenchmarkSet, json.loads(objects.get(stored.key))) for stored in objects.list(ROOT)]


def registered(objects: Objects, new: BenchmarkSet) -> BenchmarkSet:
    """The set under the next version; under its old one where the same pictures were added before."""
    while True:
        known = known_sets(objects)
        same = next((one for one in known if one.digest == new.digest), None)
        if same is not None:
            return same
        numbered = replace(new, version=1 + max((one.version for one in known), default=0))
        content = json.dumps({"schema": 1, **to_plain(numbered)}, indent=1).encode() + b"\n"
        if objects.put_if_absent(numbered.key, content):
            return numbered
