"""Photo-like JPEGs of web sizes for benchmarks: noise of many scales, the same bytes for the same number.

    python bench/photo_web/photos.py FOLDER [COUNT]

640 x 480 to 2048 x 1536, about 150 kB in the mean: what image search offers.
"""

from __future__ import annotations

import io
import random
import sys
from pathlib import Path

from PIL import Image, ImageFilter

SIZES = {(640, 480): 20, (800, 600): 20, (1024, 768): 25, (1280, 960): 15, (1600, 1200): 12, (2048, 1536): 8}
QUALITIES = (75, 80, 85, 90)
UPRIGHT_SHARE = 0.3
# (cells along the longer side, share of the picture): large shapes, edges, texture
SCALES = ((4, 1.0), (16, 0.4), (64, 0.2))
GRAIN_SHARE = 0.09


def photo(number: int) -> bytes:
    """The JPEG of this number."""
    rng = random.Random(number)
    (size,) = rng.choices(list(SIZES), list(SIZES.values()))
    if rng.random() < UPRIGHT_SHARE:
        size = size[::-1]
    picture = _noise(rng, SCALES[0][0], size)
    for cells, share in SCALES[1:]:
        picture = Image.blend(picture, _noise(rng, cells, size), share)
    picture = picture.filter(ImageFilter.UnsharpMask(2, 150, 2))
    out = io.BytesIO()
    Image.blend(picture, _grain(rng, size), GRAIN_SHARE).save(out, "JPEG", quality=rng.choice(QUALITIES))
    return out.getvalue()


def _noise(rng: random.Random, cells: int, size: tuple[int, int]) -> Image.Image:
    low = (cells, max(2, cells * min(size) // max(size)))
    if size[0] < size[1]:
        low = low[::-1]
    return Image.frombytes("RGB", low, rng.randbytes(low[0] * low[1] * 3)).resize(size, Image.Resampling.BICUBIC)


def _grain(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    small = (size[0] * 2 // 3, size[1] * 2 // 3)
    grey = Image.frombytes("L", small, rng.randbytes(small[0] * small[1])).resize(size, Image.Resampling.BILINEAR)
    return grey.convert("RGB")


def write(folder: Path, count: int) -> list[Path]:
    """The first `count` photos as files; those that are there already stay."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            path.write_bytes(photo(number))
    return paths


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
