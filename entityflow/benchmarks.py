"""The pictures of benchmarks as they are told to the index: through the same log as all others, by content."""

from __future__ import annotations

import hashlib

from entityflow.records import Benchmark, Fingerprint, Hashes, Origin

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
