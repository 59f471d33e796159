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
STEADY_LEVELS = 6.0  # a pixel of the border's colour: a hazy sky has other ones beside it
DRIFT_LEVELS = 4.0  # a border keeps its colour: a sky that changes more is content
BACKGROUND_SHARE = 0.6  # of an outermost line: a drawing that touches the edge is cut as its padded copy is
UNIFORM_SHARE = 0.98  # of the outermost line of what is left, for it to be a second border
OUTSIDE_SHARE = 0.0007  # of the content's mass that may be cut off with the border: rounding at a corner
MIN_CONTENT_LEVELS = 510.0  # two full pixels: less is nothing
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
    """What is not border; the whole where everything would be (one colour, plain stripes).

    Only brightness is looked at, so that a grey copy is cut as its original is.
    """
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    whole = box = Box(0.0, 0.0, float(picture.width), float(picture.height))
    for share in (BACKGROUND_SHARE, UNIFORM_SHARE):
        before = box
        for side in SIDES:
            lines = _border_lines(_from(side, grey, box), share)
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


def _border_lines(lines: Levels, share: float) -> float | None:
    """How many of the first lines are border, 0 for less than one; none where all are.

    share: how much of a line has the border's colour, at least.
    """
    colour = float(np.median(lines[0]))
    steady = _steady_lines(lines, colour, share)
    if steady == 0:
        return 0.0
    apart = np.abs(lines - colour)
    mass: NDArray[Any] = np.clip(apart - NOISE_LEVELS, 0, STRONG_LEVELS).sum(axis=1, dtype=np.float64)
    if float(mass.sum()) < MIN_CONTENT_LEVELS:
        return None
    cut = min(_where_mass_begins(mass), steady + 1)
    return cut if cut >= 1 else 0.0


def _where_mass_begins(mass: NDArray[Any]) -> float:
    reached = np.cumsum(mass)
    allowed = OUTSIDE_SHARE * float(reached[-1])
    line = int(np.searchsorted(reached, allowed, side="right"))
    before = float(reached[line - 1]) if line else 0.0
    return line + (allowed - before) / float(mass[line])


def _steady_lines(lines: Levels, colour: float, share: float) -> float:
    """How many of the first lines have the border's colour, in their middle and in most of their length.

    A few lines at a time: most pictures have no border, and the first line tells.
    """
    start, count = 0, 1
    while start < len(lines):
        chunk = lines[start : start + count]
        drifted = np.abs(np.median(chunk, axis=1) - colour) > DRIFT_LEVELS
        ends = np.nonzero(drifted | (np.mean(np.abs(chunk - colour) <= STEADY_LEVELS, axis=1) < share))[0]
        if len(ends):
            return float(start + ends[0])
        start, count = start + count, count * 4
    return float("inf")


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
