"""Small WebDataset shards for the trainer's tests: coloured shapes with a word for each colour."""

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 220), "yellow": (230, 220, 40)}

Member = tuple[str, bytes]


def jpeg(colour: tuple[int, int, int], seed: int = 0, width: int = 40, height: int = 32) -> bytes:
    noise = np.random.default_rng(seed).integers(-25, 25, (height, width, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", quality=90)
    return written.getvalue()


def write_tar(path: Path, members: Iterable[Member]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def sample(key: str, colour: str, seed: int) -> list[Member]:
    record = {"texts": [{"text": f"a {colour} thing", "kind": "alt"}], "entities": [{"id": f"Q-{colour}"}]}
    return [
        (f"{key}.jpg", jpeg(COLOURS[colour], seed)),
        (f"{key}.txt", f"a {colour} thing".encode()),
        (f"{key}.json", json.dumps(record).encode()),
    ]


def shard(path: Path, count: int, first: int = 0, colours: Sequence[str] = tuple(COLOURS)) -> Path:
    """A tar of `count` samples, keys s0000 and on, the colours in turn."""
    numbers = range(first, first + count)
    members = [part for n in numbers for part in sample(f"s{n:04d}", colours[n % len(colours)], n)]
    return write_tar(path, members)
