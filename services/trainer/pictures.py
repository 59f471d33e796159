"""From a sample's bytes to the uint8 tensor that the model sees in training.

Resizing is the loader's main cost, so it is done on uint8 tensors (2.4 times Pillow's speed) and after cropping. Plain
JPEGs are decoded by simplejpeg; large ones by Pillow, which can stop at a half or less of their size, as is everything
else.
"""

from __future__ import annotations

import io
from math import ceil, sqrt

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from services.trainer.reasons import BadPicture

NUMBERS, COLOURS = 5, 2  # how many random numbers one view takes, and its colours after that
MIN_AREA, MAX_ASPECT = 0.4, 1.11  # EntityNet's; stronger than open_clip's 0.9
COLOUR = 0.3  # brightness, contrast and saturation vary by this share
GREY_SHARE = 0.05
PLAIN = frozenset({"YCbCr", "Gray"})


def decode(data: bytes, side: int) -> Tensor:
    """RGB, uint8, [3, height, width]; a large JPEG is decoded smaller, no side below `side`. Raises BadPicture."""
    try:
        height, width, kind, _ = simplejpeg.decode_jpeg_header(data)
        if kind in PLAIN and min(height, width) < 2 * side:
            return torch.from_numpy(simplejpeg.decode_jpeg(data, "RGB")).permute(2, 0, 1)
    except ValueError:
        """No JPEG, or not a clean one: Pillow reads it, or says what is wrong with it."""
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
    """A random crop of the picture as uint8 [3, pixels, pixels]; `numbers` are NUMBERS numbers in
    [0, 1)."""
    top, left, height, width = crop_box(picture.shape[1], picture.shape[2], numbers)
    crop = picture[None, :, top : top + height, left : left + width].contiguous(memory_format=torch.channels_last)
    view = interpolate(crop, (pixels, pixels), mode="bilinear", antialias=True)[0]
    return (view.flip(2) if numbers[4] < 0.5 else view).contiguous()


def crop_box(height: int, width: int, numbers: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a nearly square crop that lies inside."""
    area = MIN_AREA + (1 - MIN_AREA) * float(numbers[0])
    aspect = MAX_ASPECT ** (2 * float(numbers[1]) - 1)
    side = min(height, width) * area**0.5
    tall = min(height, max(1, round(side / aspect**0.5)))
    wide = min(width, max(1, round(side * aspect**0.5)))
    return int(numbers[2] * (height - tall + 1)), int(numbers[3] * (width - wide + 1)), tall, wide


def recolour(images: Tensor, colours: Tensor) -> Tensor:
    """Another brightness and saturation for each picture of [n, 3, height, width], now and then none of the latter.

    `colours` [n, 2] are in [0, 1), the pictures' numbers in 0 .. 1. For the whole batch at once, on the model's device.
    """
    first, second = colours.to(images).view(-1, 2, 1, 1, 1).unbind(1)
    brightness = 1 + COLOUR * (2 * first - 1)
    saturation = 1 + COLOUR * (2 * (second - GREY_SHARE) / (1 - GREY_SHARE) - 1)
    saturation = torch.where(second < GREY_SHARE, torch.zeros_like(saturation), saturation)
    grey = images.mean(1, keepdim=True)
    return torch.lerp(grey.expand_as(images), images, saturation).mul_(brightness).clamp_(0, 1)
