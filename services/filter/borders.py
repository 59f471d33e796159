"""Where the content of a picture begins: uniform borders are left out before it is hashed.

A border is lines of one colour, give or take what JPEG writes around an edge. Its end is found by where the content's
mass begins, as a fraction of a pixel, so that a copy of another size or quality is cut at the same place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Levels = NDArray[np.float32]

NOISE_LEVELS = 24.0  # of 255: what JPEG at quality 30 adds around an edge stays below
STRONG_LEVELS = 96.0  # a pixel counts no more than this, so that a dark line does not outweigh a drawing
DRIFT_LEVELS = 4.0  # a border keeps its colour: a sky that changes more is content
UNIFORM_SHARE = 0.98  # of an outermost line, for it to be border
OUTSIDE_SHARE = 0.003  # of the content's mass that may be cut off with the border: rounding at a corner
MIN_CONTENT_LEVELS = 510.0  # two full pixels: less is nothing
ROUNDS = 2  # a frame in a frame
SIDES = ("top", "bottom", "left", "right")


@dataclass(frozen=True, slots=True)
class Box:
    """In pixels; fractions of them at a cut."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def content_box(picture: Image.Image) -> Box:
    """What is not border of an RGB picture; the whole where everything would be (one colour, plain stripes)."""
    colours = np.asarray(picture, dtype=np.float32)
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    whole = box = Box(0.0, 0.0, float(picture.width), float(picture.height))
    for _ in range(ROUNDS):
        before = box
        for side in SIDES:
            lines = _border_lines(_from(side, colours, box), _from(side, grey, box))
            if lines is None:
                return whole
            box = _without(box, side, lines)
        if box == before:
            break
    return box


def _from(side: str, levels: Levels, box: Box) -> Levels:
    """What is inside the box as lines, the outermost of that side first."""
    inside = levels[int(box.top) : math.ceil(box.bottom), int(box.left) : math.ceil(box.right)]
    if side in ("left", "right"):
        inside = inside.swapaxes(0, 1)
    return inside[::-1] if side in ("bottom", "right") else inside


def _border_lines(colours: Levels, grey: Levels) -> float | None:
    """How many of the first lines are border, 0 for less than one; none where all are."""
    outermost = np.abs(colours[0] - np.median(colours[0], axis=0)).max(axis=1)
    if float(np.mean(outermost > NOISE_LEVELS)) > 1 - UNIFORM_SHARE:
        return 0.0
    colour = np.median(grey[0])
    strength = np.clip(np.abs(grey - colour) - NOISE_LEVELS, 0, STRONG_LEVELS)
    mass: NDArray[Any] = strength.sum(axis=1, dtype=np.float64)
    if float(mass.sum()) < MIN_CONTENT_LEVELS:
        return None
    lines = min(_where_mass_begins(mass), _steady_lines(grey, float(colour)))
    return lines if lines >= 1 else 0.0


def _where_mass_begins(mass: NDArray[Any]) -> float:
    reached = np.cumsum(mass)
    allowed = OUTSIDE_SHARE * float(reached[-1])
    line = int(np.searchsorted(reached, allowed, side="right"))
    before = float(reached[line - 1]) if line else 0.0
    return line + (allowed - before) / float(mass[line])


def _steady_lines(grey: Levels, colour: float) -> float:
    """How many of the first lines have the border's colour in their middle; one more may be cut by the mass."""
    moved = np.nonzero(np.abs(np.median(grey, axis=1) - colour) > DRIFT_LEVELS)[0]
    return float(moved[0]) + 1 if len(moved) else float("inf")


def _without(box: Box, side: str, lines: float) -> Box:
    if lines == 0:
        return box
    match side:
        case "top":
            return replace(box, top=math.floor(box.top) + lines)
        case "left":
            return replace(box, left=math.floor(box.left) + lines)
        case "bottom":
            return replace(box, bottom=math.ceil(box.bottom) - lines)
        case _:
            return replace(box, right=math.ceil(box.right) - lines)
