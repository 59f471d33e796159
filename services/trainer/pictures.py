"""From a sample's bytes to the uint8 tensor that the model sees in training.

Resizing is the loader's main cost, so it is done on uint8 tensors (2.4 times Pillow's speed) and after cropping; JPEGs
are decoded no larger than the crop needs.
"""

from __future__ import annotations

import io
from math import ceil, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from services.trainer.reasons import BadPicture

NUMBERS = 7  # how many random numbers one view takes
MIN_AREA, MAX_ASPECT = 0.4, 1.11  # EntityNet's; stronger than open_clip's 0.9
COLOUR = 0.3  # brightness, contrast and saturation vary by this share
GREY_SHARE = 0.05


def decode(data: bytes, side: int) -> Tensor:
    """RGB, uint8, [3, height, width]; a large JPEG is decoded smaller, no side below `side`. Raises BadPicture."""
    return torch.from_numpy(np.array(open_picture(data, side))).permute(2, 0, 1)


def open_picture(data: bytes, side: int | None = None) -> Image.Image:
    """RGB, through Pillow; at full size without `side`. Raises BadPicture."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if side is not None:
                picture.draft("RGB", (side, side))
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise BadPicture(str(exc)) from exc


def decoded_side(pixels: int) -> int:
    """What a picture's shorter side must have left so that the smallest crop is not blown up."""
    return ceil(pixels / sqrt(MIN_AREA))


def training_view(picture: Tensor, pixels: int, numbers: NDArray[np.float64]) -> Tensor:
    """A random crop of the picture as uint8 [3, pixels, pixels]; `numbers` are NUMBERS numbers in [0, 1)."""
    top, left, height, width = crop_box(picture.shape[1], picture.shape[2], numbers)
    crop = picture[None, :, top : top + height, left : left + width]
    view = interpolate(crop, (pixels, pixels), mode="bilinear", antialias=True)[0]
    return recolour(view.flip(2) if numbers[4] < 0.5 else view, numbers[5:7])


def crop_box(height: int, width: int, numbers: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a nearly square crop that lies inside."""
    area = MIN_AREA + (1 - MIN_AREA) * float(numbers[0])
    aspect = MAX_ASPECT ** (2 * float(numbers[1]) - 1)
    side = min(height, width) * area**0.5
    tall = min(height, max(1, round(side / aspect**0.5)))
    wide = min(width, max(1, round(side * aspect**0.5)))
    return int(numbers[2] * (height - tall + 1)), int(numbers[3] * (width - wide + 1)), tall, wide


def recolour(view: Tensor, numbers: NDArray[np.float64]) -> Tensor:
    """Another brightness and saturation, now and then none of the latter."""
    brightness = 1 + COLOUR * (2 * float(numbers[0]) - 1)
    grey = view.float().mean(0, keepdim=True)
    chosen = float(numbers[1])
    saturation = 0.0 if chosen < GREY_SHARE else 1 + COLOUR * (2 * (chosen - GREY_SHARE) / (1 - GREY_SHARE) - 1)
    return ((grey + (view - grey) * saturation) * brightness).clamp(0, 255).to(torch.uint8)
