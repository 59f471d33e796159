"""Pairs as the filter writes them, with a real small picture each."""

import hashlib
import io

from PIL import Image as Picture

from entityflow.records import (
    FilteredPair,
    Hashes,
    Origin,
    Original,
    PairEntity,
    PairSource,
    PairText,
    Permission,
    Record,
)
from entityflow.stage import Message, Received


def picture(number: int) -> bytes:
    file = io.BytesIO()
    Picture.new("RGB", (24, 16), (number % 256, number // 256 % 256, 99)).save(file, "JPEG")
    return file.getvalue()


def pair(number: int, heldout: bool = False, payload: bytes | None = None) -> FilteredPair:
    content = picture(number) if payload is None else payload
    return FilteredPair(
        image_id=hashlib.sha256(b"picture %d" % number).hexdigest(),
        payload=content,
        format="jpeg",
        width=24,
        height=16,
        original=Original(width=240, height=160, bytes=9999, format="png"),
        texts=(
            PairText(text=f"title {number}", kind="title", source="c"),
            PairText(text=f"ält {number}", kind="alt", lang="en", source="c"),
        ),
        entities=(PairEntity(id=f"Q{number % 3}"),),
        sources=(PairSource(candidate_id="c", url=f"http://h.test/{number}"),),
        stats={"sharpness": 0.1},
        hashes=Hashes(phash="0" * 16, dhash="f" * 16, version=1),
        origin=Origin(topic_uuid="image", partition=0, offset=number),
        heldout=heldout,
        permission=Permission(decision="allowed"),
    )


def received(record: Record, offset: int, partition: int = 0, timestamp_ms: int = 0) -> Received[Record]:
    message = Message("filtered-pair", partition, offset, None, b"", {}, timestamp_ms, "uuid")
    return Received(record, message)
