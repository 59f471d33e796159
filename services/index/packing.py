"""How the index's memory lies on disk: fixed fields, numbers big endian, so that a picture costs few bytes."""

from __future__ import annotations

import struct

from entityflow.records import Benchmark, Hashes, Origin
from services.index.guarded import Guarded
from services.index.verdicts import Entry, Registered

IMAGE_BYTES = 32
ENTRY = struct.Struct(">6s8s")
REGISTERED = struct.Struct(">Qb8s8sHBiQBB")
BENCHMARK = struct.Struct(">IB")  # behind a registered picture that has one, with the name after it
GUARDED = struct.Struct(">I8s8sHB")
NO_DISTANCE = -1
GUARDED_PREFIX = b"g"


def image_key(image_id: str) -> bytes:
    return b"i" + bytes.fromhex(image_id)


def canonical_key(seq: int) -> bytes:
    return b"c" + seq.to_bytes(8, "big")


def guarded_key(known: Guarded) -> bytes:
    return GUARDED_PREFIX + known.seq.to_bytes(8, "big")


def row_key(key: bytes) -> bytes:
    return b"r" + key


def pack_row(entries: list[Entry]) -> bytes:
    return b"".join(ENTRY.pack(entry.seq.to_bytes(6, "big"), entry.value.to_bytes(8, "big")) for entry in entries)


def unpack_row(packed: bytes) -> list[Entry]:
    return [Entry(int.from_bytes(seq, "big"), int.from_bytes(value, "big")) for seq, value in ENTRY.iter_unpack(packed)]


def pack_registered(known: Registered) -> bytes:
    """All but the image_id, which is the key. A detail is kept as half its hex digits.

    Of a copy the id of its canonical follows; it is the one with a distance.
    """
    hashes, origin = known.hashes, known.origin
    canonical = b"" if known.is_canonical else bytes.fromhex(known.canonical_id)
    uuid, detail = origin.topic_uuid.encode(), bytes.fromhex(hashes.detail or "")
    return (
        REGISTERED.pack(
            known.seq,
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
        + canonical
        + uuid
        + detail
        + _pack_benchmark(known.benchmark)
    )


def _pack_benchmark(benchmark: Benchmark | None) -> bytes:
    if benchmark is None:
        return b""
    return BENCHMARK.pack(benchmark.index_version, benchmark.distance) + benchmark.name.encode()


def _unpack_benchmark(packed: bytes) -> Benchmark | None:
    if not packed:
        return None
    version, apart = BENCHMARK.unpack_from(packed)
    return Benchmark(index_version=version, name=packed[BENCHMARK.size :].decode(), distance=apart)


def pack_guarded(known: Guarded) -> bytes:
    """All but the seq, which is the key."""
    hashes, detail = known.hashes, bytes.fromhex(known.hashes.detail or "")
    head = GUARDED.pack(
        known.version, bytes.fromhex(hashes.phash), bytes.fromhex(hashes.dhash), hashes.version, len(detail)
    )
    return head + detail + known.name.encode()


def unpack_guarded(key: bytes, packed: bytes) -> Guarded:
    version, phash, dhash, hash_version, length = GUARDED.unpack_from(packed)
    end = GUARDED.size + length
    detail = packed[GUARDED.size : end].hex()
    return Guarded(
        seq=int.from_bytes(key[1:], "big"),
        name=packed[end:].decode(),
        version=version,
        hashes=Hashes(phash=phash.hex(), dhash=dhash.hex(), version=hash_version, detail=detail or None),
    )


def unpack_registered(image_id: str, packed: bytes) -> Registered:
    seq, apart, phash, dhash, version, plain, partition, offset, uuid_length, detail_length = REGISTERED.unpack_from(
        packed
    )
    uuid_begin = REGISTERED.size + (0 if apart == NO_DISTANCE else IMAGE_BYTES)
    canonical = packed[REGISTERED.size : uuid_begin].hex()
    uuid_end = uuid_begin + uuid_length
    detail_end = uuid_end + detail_length
    detail = packed[uuid_end:detail_end].hex()
    return Registered(
        image_id=image_id,
        seq=seq,
        canonical_id=canonical or image_id,
        distance=None if apart == NO_DISTANCE else apart,
        hashes=Hashes(
            phash=phash.hex(), dhash=dhash.hex(), version=version, low_detail=bool(plain), detail=detail or None
        ),
        origin=Origin(topic_uuid=packed[uuid_begin:uuid_end].decode(), partition=partition, offset=offset),
        benchmark=_unpack_benchmark(packed[detail_end:]),
    )
