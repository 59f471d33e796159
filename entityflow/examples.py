"""A few pictures of each way in which candidates end, kept small in the bucket so that a person can judge the rules.

`examples/REASON/IMAGE_ID.jpg`: a thumbnail whose JPEG comment is the JSON of what is known of it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from entityflow.codec import from_plain, to_plain
from entityflow.objects import Objects
from entityflow.tombstones import Tombstones

ROOT = "examples/"
SIDE_PIXELS = 160
QUALITY = 80
MAX_TEXT = 300  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """canonical_id and distance: what a merged picture is a copy of. url and page_url let `forget` find it."""

    reason: str
    image_id: str
    candidate_id: str
    text: str | None = None
    canonical_id: str | None = None
    distance: int | None = None
    url: str | None = None
    page_url: str | None = None

    @property
    def key(self) -> str:
        return f"{ROOT}{self.reason}/{self.image_id}.jpg"


def thumbnail(example: Example, payload: bytes) -> bytes:
    """The small picture with what is known of it. Raises OSError where the bytes are no picture."""
    with Image.open(io.BytesIO(payload)) as opened:
        small = opened.convert("RGB")
    small.thumbnail((SIDE_PIXELS, SIDE_PIXELS))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=QUALITY, comment=json.dumps(to_plain(example)).encode())
    return out.getvalue()


def example_of(data: bytes) -> Example:
    """What a thumbnail says of itself. Raises ValueError where it is none of ours."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            return from_plain(Example, json.loads(opened.info["comment"]))
    except (OSError, KeyError, TypeError) as exc:
        raise ValueError(f"no example: {exc}") from exc


def kept_examples(objects: Objects) -> dict[str, list[str]]:
    """Reason -> image_ids."""
    found: dict[str, list[str]] = {}
    for stored in objects.list(ROOT):
        reason, _, name = stored.key.removeprefix(ROOT).partition("/")
        found.setdefault(reason, []).append(name.removesuffix(".jpg"))
    return found


def covered_examples(objects: Objects, tombstones: Tombstones) -> Iterator[str]:
    """Keys of examples of what is forgotten, and of what is no example at all."""
    for stored in objects.list(ROOT):
        try:
            one = example_of(objects.get(stored.key))
        except ValueError:
            yield stored.key
            continue
        if is_covered(one, tombstones):
            yield stored.key


def is_covered(one: Example, tombstones: Tombstones) -> bool:
    """Whether the picture, what it is a copy of, or where it was found is forgotten."""
    return bool(
        tombstones.of_picture(one.image_id)
        or (one.canonical_id and tombstones.of_picture(one.canonical_id))
        or tombstones.of_source(one.url, one.page_url)
    )
