"""Which copies are found and which unlike pictures are merged, tier by tier, beside imagededup's PHash in the same run.

    python bench/dedup.py [--pictures 2000] [--photos 300] [--imagededup PYTHON]

The pictures are the demo web's (drawings, renderings, photographs; fetched once) and made photographs. Every copy takes
the whole path: decoded and stored as the fetcher does, hashed as the filter does. A picture counts as falsely merged
where another original is within the threshold: the originals are all unlike. `--imagededup` is an interpreter that has
it; without one its columns are left out.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from photo_web.photos import photo
from PIL import Image, ImageDraw, ImageOps

from entityflow.detail import alike
from entityflow.embedded.corpus import build_corpus, read_corpus
from entityflow.pictures import BadPicture, PictureLimits, decode_and_store
from entityflow.records import Hashes
from services.filter.fingerprints import appearance

MAX_DISTANCE = 3
LIMITS = PictureLimits(max_aspect=6.0)
SETS = {"openmoji": "drawings", "fluent": "renderings", "stamps": "photographs"}
TARGETS = ("JPEG q75", "JPEG q30", "half size", "200 pixels", "thumbnail 128", "grey")

Copy = Callable[[Image.Image], bytes]


@dataclass(frozen=True)
class Original:
    kind: str
    title: str
    data: bytes
    hashes: Hashes


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


def fitted(picture: Image.Image, side: int) -> Image.Image:
    factor = side / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def padded(picture: Image.Image) -> Image.Image:
    side = max(picture.size) * 11 // 10
    square = Image.new("RGB", (side, side), "white")
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def cropped(picture: Image.Image, share: float) -> Image.Image:
    left, top = round(picture.width * share), round(picture.height * share)
    return picture.crop((left, top, picture.width - left, picture.height - top))


def captioned(picture: Image.Image) -> Image.Image:
    copy = picture.copy()
    ImageDraw.Draw(copy).rectangle((0, round(copy.height * 0.92), copy.width, copy.height), fill="black")
    return copy


def webp(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=80)
    return out.getvalue()


COPIES: dict[str, Copy] = {
    "JPEG q75": lambda picture: jpeg(picture, 75),
    "JPEG q30": lambda picture: jpeg(picture, 30),
    "WebP": webp,
    "half size": lambda picture: jpeg(fitted(picture, max(picture.size) // 2)),
    "200 pixels": lambda picture: jpeg(fitted(picture, 200)),
    "thumbnail 128": lambda picture: jpeg(fitted(picture, 128), 75),
    "grey": lambda picture: jpeg(picture.convert("L")),
    "padded square": lambda picture: jpeg(padded(picture)),
    "border 5 %": lambda picture: jpeg(ImageOps.expand(picture, round(max(picture.size) * 0.05), "white")),
    "crop 2 %": lambda picture: jpeg(cropped(picture, 0.02)),
    "crop 5 %": lambda picture: jpeg(cropped(picture, 0.05)),
    "caption bar": lambda picture: jpeg(captioned(picture)),
    "mirrored": lambda picture: jpeg(ImageOps.mirror(picture)),
}


def seen(data: bytes) -> Hashes | None:
    """None for what the line would not take."""
    try:
        hashes = appearance(decode_and_store(data, LIMITS).payload).hashes
    except BadPicture:
        return None
    return None if hashes is None or hashes.low_detail else hashes


def originals(pictures: int, photos: int) -> list[Original]:
    folder = build_corpus(lambda line: print(line, file=sys.stderr))
    found = []
    for one in read_corpus(folder)[:pictures]:
        data = (folder / one.file).read_bytes()
        if hashes := seen(data):
            found.append(Original(SETS[one.source], one.title, data, hashes))
    for number in range(photos):
        data = photo(number)
        if hashes := seen(data):
            found.append(Original("made photographs", str(number), data, hashes))
    return found


def as_shown(data: bytes) -> Image.Image:
    """The picture on white, as every copy of the web begins."""
    with Image.open(
        io.BytesIO(decode_and_store(data, PictureLimits(short_side_pixels=600, max_aspect=6.0)).payload)
    ) as opened:
        return opened.convert("RGB")


def apart(one: Hashes, other: Hashes) -> tuple[int, int]:
    p, d = (int(a, 16) ^ int(b, 16) for a, b in ((one.phash, other.phash), (one.dhash, other.dhash)))
    return p.bit_count(), d.bit_count()


TIERS: dict[str, Callable[[Hashes, Hashes], bool]] = {
    "pHash": lambda a, b: apart(a, b)[0] <= MAX_DISTANCE,
    "dHash": lambda a, b: apart(a, b)[1] <= MAX_DISTANCE,
    "either": lambda a, b: min(apart(a, b)) <= MAX_DISTANCE,
    "either + detail": lambda a, b: min(apart(a, b)) <= MAX_DISTANCE and alike(a.detail, b.detail),
}


def recall(all_: Sequence[Original], copies: dict[str, list[Hashes | None]]) -> Iterator[str]:
    kinds = list(dict.fromkeys(one.kind for one in all_))
    yield f"{'copy':<15} " + " ".join(f"{name:>15}" for name in [*TIERS, *kinds])
    reached = []
    for name, hashes in copies.items():
        found = [
            [tier(one.hashes, copy) if copy else False for tier in TIERS.values()]
            for one, copy in zip(all_, hashes, strict=True)
        ]
        shares = [statistics.mean(row[column] for row in found) for column in range(len(TIERS))]
        by_kind = [
            statistics.mean(row[-1] for row, one in zip(found, all_, strict=True) if one.kind == kind) for kind in kinds
        ]
        if name in TARGETS:
            reached.append(shares[-1])
        yield f"{name:<15} " + " ".join(f"{share:>15.3f}" for share in [*shares, *by_kind])
    yield f"least of recompressed, resized, grey and thumbnailed: {min(reached):.3f} (target 0.97)"


def false_merges(all_: Sequence[Original]) -> Iterator[str]:
    kinds = list(dict.fromkeys(one.kind for one in all_))
    pairs = list(near_pairs(all_))
    for name, tier in TIERS.items():
        met = [pair for pair in pairs if tier(all_[pair[0]].hashes, all_[pair[1]].hashes)]
        merged = {max(pair) for pair in met}
        shares = {kind: sum(all_[place].kind == kind for place in merged) for kind in kinds}
        counts = {kind: sum(one.kind == kind for one in all_) for kind in kinds}
        told = ", ".join(f"{kind} {shares[kind]} of {counts[kind]}" for kind in kinds)
        same = sum(all_[a].title.casefold() == all_[b].title.casefold() for a, b in met)
        yield f"false merges  {name:<15} {len(merged) / len(all_):7.3%} of pictures, {same} of one name ({told})"
        if name == list(TIERS)[-1]:
            yield "  " + ", ".join(f"{all_[a].title} / {all_[b].title}" for a, b in met[:8])


def near_pairs(all_: Sequence[Original]) -> Iterator[tuple[int, int]]:
    p, d = (numbers([getattr(one.hashes, name) for one in all_]) for name in ("phash", "dhash"))
    for place in range(1, len(all_)):
        distances = np.minimum(np.bitwise_count(p[:place] ^ p[place]), np.bitwise_count(d[:place] ^ d[place]))
        yield from ((int(other), place) for other in np.nonzero(distances <= MAX_DISTANCE)[0])


def numbers(hashes: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([int(text, 16) for text in hashes], dtype=np.uint64)


def speed(all_: Sequence[Original]) -> Iterator[str]:
    """Of one process: stored bytes to hashes, as the filter does it."""
    payloads = [decode_and_store(one.data, LIMITS).payload for one in all_[:300]]
    appearance(payloads[0])  # imports
    began = time.process_time()
    for payload in payloads:
        appearance(payload)
    spent = (time.process_time() - began) / len(payloads)
    yield f"filter: {1 / spent:.0f} pictures/s a core ({spent * 1000:.1f} ms each)"


# --- imagededup in an interpreter of its own ---

THEIRS = """
import json, sys, time
from pathlib import Path
from imagededup.methods import PHash
method, hashes = PHash(verbose=False), {}
began = time.process_time()
for path in sorted(Path(sys.argv[1]).iterdir()):
    hashes[path.name] = method.encode_image(image_file=path)
json.dump({"seconds": time.process_time() - began, "hashes": hashes}, sys.stdout)
"""


def beside(python: Path, all_: Sequence[Original], copies: dict[str, list[bytes]]) -> Iterator[str]:
    """Their recall at the largest distance that merges no more unlike pictures than we do."""
    with tempfile.TemporaryDirectory() as folder:
        for place, one in enumerate(all_):
            (Path(folder) / f"original-{place}.jpg").write_bytes(jpeg(as_shown(one.data)))
        for name, made in copies.items():
            for place, data in enumerate(made):
                (Path(folder) / f"{name}-{place}.jpg").write_bytes(data)
        ran = subprocess.run([python, "-c", THEIRS, folder], capture_output=True, check=True, text=True)
    answer = json.loads(ran.stdout)
    hashes = answer["hashes"]
    original = numbers([hashes[f"original-{place}.jpg"] for place in range(len(all_))])
    mine = len({b for a, b in near_pairs(all_) if TIERS["either + detail"](all_[a].hashes, all_[b].hashes)})
    for limit in range(10, -1, -1):
        wrong = sum(
            bool((np.bitwise_count(original[:place] ^ original[place]) <= limit).any()) for place in range(len(all_))
        )
        if wrong <= mine or limit == 0:
            break
    yield (
        f"imagededup PHash: {len(hashes) / answer['seconds']:.0f} pictures/s a core;"
        f" at distance {limit} {wrong} false merges (ours {mine}), at its default of 10 and at 3, recall:"
    )
    for name in copies:
        theirs = numbers([hashes[f"{name}-{place}.jpg"] for place in range(len(all_))])
        distances = np.bitwise_count(theirs ^ original)
        shares = [float((distances <= most).mean()) for most in (limit, 3, 10)]
        yield f"{name:<15} at {limit}: {shares[0]:.3f}   at 3: {shares[1]:.3f}   at 10: {shares[2]:.3f}"


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--pictures", type=int, default=2000)
    words.add_argument("--photos", type=int, default=300)
    words.add_argument("--imagededup", type=Path, help="an interpreter that has it")
    options = words.parse_args()
    all_ = originals(options.pictures, options.photos)
    shown = [as_shown(one.data) for one in all_]
    made = {name: [copy(picture) for picture in shown] for name, copy in COPIES.items()}
    hashes = {name: [seen(data) for data in datas] for name, datas in made.items()}
    print(f"{len(all_)} pictures, {len(COPIES)} copies of each; found within {MAX_DISTANCE} bits:")
    for line in (*recall(all_, hashes), *false_merges(all_), *speed(all_)):
        print(line)
    if options.imagededup:
        for line in beside(options.imagededup, all_, made):
            print(line)


if __name__ == "__main__":
    main()
