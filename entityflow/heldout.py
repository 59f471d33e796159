"""Which samples are held out: a pure function of the image_id, so that every reader and every replay agrees."""

from __future__ import annotations

from entityflow.ids import content_id

HELDOUT = "heldout"  # as a benchmark: its number is 0
HEX_DIGITS = 13  # 52 bits: what a float holds exactly


def is_heldout(image_id: str, share: float) -> bool:
    """Whether the image belongs to the share (0..1) that is never trained on. A larger share only adds images."""
    place = int(content_id("heldout", image_id)[:HEX_DIGITS], 16)
    return place < share * float(16**HEX_DIGITS)
