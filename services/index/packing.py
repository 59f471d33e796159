"""How the index's memory lies on disk: fixed fields, numbers big endian, so that a picture costs few bytes."""

from __future__ import annotations

import struct

from entityflow.records import Hashes, Origin
from services.index.verdicts import Entry, Registered

IMAGE_BYTES = 32
ENTRY = struct.Struct(">6s8s")
REGISTERED = struct.Struct(">Q32sb8s8sHBiQBB")
NO_DISTANCE = -1


def image_key(image_id: str) -> bytes:
    return b"i" + bytes.fromhex(image_id)


def canonical_key(seq: int) -> bytes:
    return b"c" + seq.to_bytes(8, "big")


def row_key(key: bytes) -> bytes:
    return b"r" + key


def pack_row(entries: list[Entry]) -> bytes:
    return b"".join(ENTRY.pack(entry.seq.to_bytes(6, "big"), entry.value.to_bytes(8, "big")) for entry in entries)


def unpack_row(packed: bytes) -> list[Entry]:
    return [Entry(int.from_bytes(seq, "big"), int.from_bytes(value, "big")) for seq, value in ENTRY.iter_unpack(packed)]


def pack_registered(known: Registered) -> bytes:
    """All but the image_id, which is the key. A detail is kept as half its hex digits."""
    hashes, origin = known.hashes, known.origin
    uuid, detail = origin.topic_uuid.encode(), bytes.fromhex(hashes.detail or "")
    return (
        REGISTERED.pack(
            known.seq,
            bytes.fromhex(known.canonical_id),
            NO_DISTANCE if known.distance is None else known.distance,
            bytes.fromhex(hashes.phash),
            bytes.fromhex(hashes.dhash),
            hashes.version,
            hashes.low_detail,
            origin.partition,
            origin.offset,
            len(uuid),
            len(detail),
        )
        + uuid
        + detail
    )


def unpack_registered(image_id: str, packed: bytes) -> Registered:
    seq, canonical, apart, phash, dhash, version, plain, partition, offset, uuid_length, detail_length = (
        REGISTERED.unpack_from(packed)
    )
    uuid_end = REGISTERED.size + uuid_length
    detail = packed[uuid_end : uuid_end + detail_length].hex()
    return Registered(
        image_id=image_id,
        seq=seq,
        canonical_id=canonical.hex(),
        distance=None if apart == NO_DISTANCE else apart,
        hashes=Hashes(
            phash=phash.hex(), dhash=dhash.hex(), version=version, low_detail=bool(plain), detail=detail or None
        ),
        origin=Origin(topic_uuid=packed[REGISTERED.size : uuid_end].decode(), partition=partition, offset=offset),
    )
