"""The pictures of a benchmark, from a folder of picture files or of tars, hashed by the path that all pictures take."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from entityflow.errors import UserError
from entityflow.pictures import BadPicture, PictureLimits
from entityflow.records import Hashes
from entityflow.sandbox import Sandbox
from services.filter.fingerprints import Unhashable, appearance

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".bmp", ".tif", ".tiff")
ANY_PICTURE = PictureLimits(min_side_pixels=1, max_aspect=1000.0)  # a benchmark's small ones guard too
CHILDREN = 2
AT_ONCE = 64


@dataclass
class Hashed:
    """hashes: each once, in the order of names. unreadable: names of what is no picture."""

    hashes: dict[Hashes, None] = field(default_factory=dict)
    plain: int = 0
    unreadable: list[str] = field(default_factory=list)


def hashed(source: Path) -> Hashed:
    """Raises UserError where the source holds no picture."""
    found = Hashed()
    with Sandbox(ANY_PICTURE, children=CHILDREN) as sandbox, ThreadPoolExecutor(CHILDREN) as pool:
        pictures = pictures_of(source)
        while chunk := list(islice(pictures, AT_ONCE)):
            looks = pool.map(lambda one: _look(sandbox, one[1]), chunk)
            for (name, _), look in zip(chunk, looks, strict=True):
                if look is None:
                    found.unreadable.append(name)
                elif look.low_detail:
                    found.plain += 1
                else:
                    found.hashes[look] = None
    if not found.hashes:
        raise UserError(
            f"{source}: no picture that can be compared", hint=f"a folder or tar with {', '.join(ENDINGS[:4])} ..."
        )
    return found


def pictures_of(source: Path) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of every picture file below a folder, in every tar below it, or in one tar; in order of names."""
    if not source.exists():
        raise UserError(f"{source} does not exist", hint="name a folder of pictures, or of shards")
    for path in [source] if source.is_file() else sorted(source.rglob("*")):
        if path.suffix.lower() == ".tar":
            yield from _members(path)
        elif path.suffix.lower() in ENDINGS and path.is_file():
            yield str(path), path.read_bytes()


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile() and member.name.lower().endswith(ENDINGS):
                    content = tar.extractfile(member)
                    yield f"{path}:{member.name}", content.read() if content else b""
    except tarfile.TarError as exc:
        raise UserError(f"{path}: {exc}", hint="the tar is damaged: fetch it again") from exc


def _look(sandbox: Sandbox, data: bytes) -> Hashes | None:
    """None for what does not decode. A blank picture is as good as a plain one."""
    try:
        seen = appearance(sandbox.decode(data).payload)
    except (BadPicture, Unhashable):
        return None
    return seen.hashes or Hashes(phash="0" * 16, dhash="0" * 16, version=0, low_detail=True)
