"""How fast the index judges at a size, what a picture costs on disk and in memory, and how long a rebuild takes.

    python bench/dedup_index.py [--sizes 0 100000 1000000] [--judged 5000]

In one process, without the broker: the state is rebuilt from verdicts (as from the `match` topic), then judges new
pictures in batches of 1,000, one in five of them a copy. Hashes are random, so that rows are as short as they can be;
`--heldout` is the share of samples that later ones must keep away from.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from entityflow.records import Fingerprint, Hashes, Origin
from services.index.state import DiskState
from services.index.verdicts import Cuts, Judge, Registered

BATCH, RESTORED = 1000, 2000
ROW_LIMIT, CACHE_BYTES = 256, 128 << 20
ORIGIN = Origin(topic_uuid="AAAAAAAAQACAAAAAAAAAAA", partition=0, offset=0)


def look(rng: random.Random) -> Hashes:
    detail = "80" + f"{rng.getrandbits(256):064x}" + "8" * 32
    return Hashes(phash=f"{rng.getrandbits(64):016x}", dhash=f"{rng.getrandbits(64):016x}", version=1, detail=detail)


def nearly(one: Hashes, rng: random.Random) -> Hashes:
    phash = int(one.phash, 16) ^ (1 << rng.randrange(64))
    return Hashes(phash=f"{phash:016x}", dhash=one.dhash, version=1, detail=one.detail)


def known(count: int) -> Iterator[Registered]:
    rng = random.Random(1)
    for seq in range(count):
        image_id = f"{rng.getrandbits(256):064x}"
        yield Registered(image_id, seq, image_id, None, look(rng), ORIGIN)


def asked(size: int, count: int) -> Iterator[tuple[int, Fingerprint]]:
    rng, older = random.Random(2), [one.hashes for one in islice(known(size), 10_000)]
    for place in range(count):
        hashes = nearly(rng.choice(older), rng) if older and place % 5 == 0 else look(rng)
        image_id = f"{rng.getrandbits(256):064x}"
        yield size + place, Fingerprint(image_id=image_id, origin=ORIGIN, passed=True, hashes=hashes)


def measure(size: int, judged: int, heldout_share: float) -> str:
    cuts = Cuts(heldout_share)
    with tempfile.TemporaryDirectory() as folder:
        state = DiskState(Path(folder), "uuid", CACHE_BYTES)
        began, verdicts = time.monotonic(), known(size)
        judge = Judge(state, ROW_LIMIT, cuts)
        while chunk := list(islice(verdicts, RESTORED)):
            state.write(judge.restore(chunk), None)
        rebuilt = time.monotonic() - began
        judge = Judge(state, ROW_LIMIT, cuts)
        questions = asked(size, judged)
        began, spent, copies = time.monotonic(), time.process_time(), 0
        while batch := list(islice(questions, BATCH)):
            answers, change = judge.judge(batch)
            state.write(change, batch[-1][0] + 1)
            copies += sum(isinstance(one, Registered) and not one.is_canonical for one in answers)
        rate, spent = judged / (time.monotonic() - began), time.process_time() - spent
        state.close()
        on_disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{size:>9} known: {rate:7.0f} pictures/s ({judged / spent:.0f} a second of processor), {copies} copies found,"
        f" {on_disk / (size + judged):.0f} bytes a picture, rebuilt in {rebuilt:.1f} s, {memory:.0f} MB at most"
    )


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--sizes", type=int, nargs="+", default=[0, 100_000, 1_000_000])
    words.add_argument("--judged", type=int, default=5000)
    words.add_argument("--heldout", type=float, default=0.002, help="share of samples that are held out")
    options = words.parse_args()
    for size in options.sizes:
        print(measure(size, options.judged, options.heldout), flush=True)


if __name__ == "__main__":
    main()
