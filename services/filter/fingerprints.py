"""Fingerprints of pictures: 64-bit pHash and dHash of the stored bytes, by one path that never changes in a version.

Decode, leave out uniform borders, grey, hash. Measured on 970 pieces of flat art, rendered art and photographs, recall
of copies within distance 3 in one of the hashes and alike in detail: JPEG quality 30 0.975, 200 pixels 0.99, thumbnails
of 128 pixels 0.98 and of 72 0.94, grey 1.0, padded to a square 0.985; 2 of 472,000 unlike pairs meet (clock faces).
A mirrored picture is another picture. A picture too plain to be compared is marked `low_detail`.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from entityflow import detail
from entityflow.records import Hashes
from services.filter.borders import Box, content_box

HASH_VERSION = 1
SMALL_SIDE = 96  # pixels of the square copy that is hashed: enough for 32x32, and of one size for every picture
MIN_CONTENT_SIDE = 8.0  # pixels: less is a dot or a line
BLANK_LEVELS = 2.0  # standard deviation of brightness or of a colour, of 255: JPEG noise on one colour stays below
PLAIN_LEVELS = 6.0  # of the 32x32 copy that the hashes see: fine rules on white average out to less


class Unhashable(Exception):
    """The stored bytes do not decode to a picture."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """What the filter knows of a picture's pixels. hashes is none for a blank picture: it has nothing to compare."""

    hashes: Hashes | None
    blank: bool
    contrast: float  # standard deviation of the brightness, 0..127
    content_share: float  # of the area, inside uniform borders
    sharpness: float = 0.0  # standard deviation of the Laplacian of the brightness: of a photograph in focus 8 and more
    colours: int = 0  # of 4 levels a channel, that cover a hundredth each


def appearance(stored: bytes) -> Appearance:
    """Look at the stored bytes. Raises Unhashable where they are no picture; a failed hash is never zero."""
    try:
        with Image.open(io.BytesIO(stored)) as opened:
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise Unhashable(str(exc)) from exc
    return appearance_of(picture)


def appearance_of(picture: Image.Image) -> Appearance:
    """The same for a decoded RGB picture."""
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    box = content_box(picture)
    blank = _is_one_colour(picture) or max(box.width, box.height) < MIN_CONTENT_SIDE
    return Appearance(
        hashes=None if blank else _hashes(picture, box),
        blank=blank,
        contrast=_deviation(grey),
        content_share=box.width * box.height / (picture.width * picture.height),
        sharpness=_sharpness(grey),
        colours=_colours(picture),
    )


def _sharpness(grey: NDArray[np.float32]) -> float:
    if min(grey.shape) < 3:
        return 0.0
    inner = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return _deviation(inner)


def _deviation(levels: NDArray[np.float32]) -> float:
    """Standard deviation, without the copies that numpy makes for it."""
    flat = levels.ravel()
    mean = float(flat.mean(dtype=np.float64))
    return math.sqrt(max(0.0, float(np.dot(flat, flat)) / flat.size - mean * mean))


def _colours(picture: Image.Image) -> int:
    small = np.asarray(picture.resize((48, 48), Image.Resampling.NEAREST), dtype=np.int64) >> 6
    counts = np.bincount((small[..., 0] << 4 | small[..., 1] << 2 | small[..., 2]).ravel(), minlength=64)
    return int((counts >= small.shape[0] * small.shape[1] / 100).sum())


def _hashes(picture: Image.Image, box: Box) -> Hashes:
    edges = (box.left, box.top, box.right, box.bottom)
    small = picture.resize((SMALL_SIDE, SMALL_SIDE), Image.Resampling.LANCZOS, box=edges)
    grey = small.convert("L")
    return Hashes(
        phash=str(imagehash.phash(grey)),
        dhash=str(imagehash.dhash(grey)),
        version=HASH_VERSION,
        low_detail=min(box.width, box.height) < MIN_CONTENT_SIDE or _is_plain(grey),
        detail=_detail(small, box),
    )


def _is_one_colour(picture: Image.Image) -> bool:
    """Brightness first: where it varies nothing else need be looked at."""
    grey = picture.convert("L").resize((64, 64), Image.Resampling.BOX)
    if float(np.asarray(grey, dtype=np.float32).std()) >= BLANK_LEVELS:
        return False
    small = picture.resize((64, 64), Image.Resampling.BOX).convert("YCbCr")
    return all(float(np.asarray(band, dtype=np.float32).std()) < BLANK_LEVELS for band in small.split())


def _is_plain(grey: Image.Image) -> bool:
    seen = grey.resize((32, 32), Image.Resampling.LANCZOS)
    return float(np.asarray(seen, dtype=np.float32).std()) < PLAIN_LEVELS


def _detail(small: Image.Image, box: Box) -> str:
    luma, blue, red = small.convert("YCbCr").split()
    eight = luma.resize((8, 8), Image.Resampling.BOX)
    colours = [band.resize((4, 4), Image.Resampling.BOX).tobytes() for band in (blue, red)]
    return detail.written(box.width, box.height, eight.tobytes(), b"".join(colours))
