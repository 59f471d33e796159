"""Faults of picture files that cost a chunk and not the picture, and those that hide that picture data is missing."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CRITICAL_CHUNKS = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND"))
PNG_USED_CHUNKS = frozenset((b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT"))
MAX_PROFILE_BYTES = 1 << 20
JPEG_END = b"\xff\xd9"

# entropy-coded filler: never a marker, and no part of it repeats what comes before
NOISE = bytes(random.Random(1).choices(range(255), k=4096))


def plain_png(data: bytes) -> bytes:
    """Less texts, unknown chunks and broken profiles: none of them can cost memory or the picture."""
    kept, changed = [data[:8]], False
    end = 8
    for name, start, end in _png_chunks(data):
        if _png_chunk_is_of_use(name, data[start:end]):
            kept.append(data[start:end])
        else:
            changed = True
    kept.append(data[end:] if kept[-1][4:8] != b"IEND" else b"")
    return b"".join(kept) if changed else data


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of each whole chunk up to IEND."""
    position = 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        name, end = data[position + 4 : position + 8], position + 12 + length
        if end > len(data):
            return
        yield name, position, end
        if name == b"IEND":
            return
        position = end


def _png_chunk_is_of_use(name: bytes, chunk: bytes) -> bool:
    if name in PNG_CRITICAL_CHUNKS:
        return True
    if name not in PNG_USED_CHUNKS or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
        return False
    return name != b"iCCP" or _profile_unpacks(chunk[8:-4])


def _profile_unpacks(body: bytes) -> bool:
    _, _, packed = body.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return False
    return unpacker.eof and len(profile) < MAX_PROFILE_BYTES


def with_jpeg_end(data: bytes) -> bytes:
    return data + JPEG_END


def with_noise_before_end(data: bytes) -> bytes:
    """The same file to a decoder that had all it needed, another one to a decoder that was short of data."""
    end = jpeg_end(data)
    return data + NOISE + JPEG_END if end is None else data[:end] + NOISE + data[end:]


def jpeg_end(data: bytes) -> int | None:
    """Where the end marker of the first picture lies; none = it is missing."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            position = data.find(b"\xff", position)
            if position < 0:
                return None
            continue
        marker = data[position + 1]
        if marker == 0xD9:
            return position
        if marker == 0xFF:
            position += 1
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return position if data[position : position + 2] == JPEG_END else None
