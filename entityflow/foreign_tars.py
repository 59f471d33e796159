"""WebDataset tars that others wrote, read as webdataset reads them: what can be trained on, and what cannot.

Keys and extensions are split at the first dot of the file name, extensions without case. A sample is a picture and a
text; what is none is counted, never guessed. A tar that is cut, or holds a member twice, is refused as a whole.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from entityflow.errors import UserError
from entityflow.shard_checks import Damage, decode_picture

PICTURES = frozenset({"jpg", "jpeg", "png", "webp"})
TEXTS = frozenset({"txt", "json"})
MEMBER = re.compile(r"^((?:.*/)?[^./]+)\.([^/]+)$")
MAX_JSON_BYTES = 1 << 20


@dataclass
class ForeignTar:
    """Keys of the samples in their order, and how many things were left out, by what they are."""

    samples: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def find_tars(paths: Sequence[Path]) -> list[Path]:
    """The tars that are named or lie below the folders. Raises UserError where there is none."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: there is no such file or folder", hint="name folders or tars on this machine")
        inside = sorted(tar for tar in path.rglob("*.tar") if not tar.name.startswith(".")) if path.is_dir() else [path]
        found += inside
    if not found:
        raise UserError(f"no tar below {', '.join(map(str, paths))}", hint="entityflow shards pull DIR brings some")
    return list(dict.fromkeys(found))


def read_foreign(path: Path) -> ForeignTar:
    """Decodes every picture. Raises Damage for a tar that must not be used."""
    try:
        with tarfile.open(path, mode="r:") as tar:
            return _read(tar, path.name)
    except (tarfile.TarError, EOFError) as exc:
        raise Damage(f"no readable tar: {exc}") from exc


def _read(tar: tarfile.TarFile, name: str) -> ForeignTar:
    found = ForeignTar()
    parts: dict[str, dict[str, tarfile.TarInfo]] = {}
    strangers: set[str] = set()
    last = ""
    for member in tar:
        place = _place(member)
        if place is None:
            found.left_out["litter"] += member.isfile()
            continue
        key, extension = place
        if extension not in PICTURES | TEXTS:
            strangers.add(key)
            continue
        if extension in parts.get(key, {}) or (key in parts and key != last):
            raise Damage(f"member {member.name} comes twice or away from its sample")
        parts.setdefault(key, {})[extension] = member
        last = key
    found.left_out["names not understood"] = len(strangers - parts.keys())
    for key, members in parts.items():
        pictures = [members[one] for one in sorted(PICTURES & members.keys())]
        if pictures and any(_says_something(tar, one, members[one]) for one in TEXTS & members.keys()):
            decode_picture(tar, pictures[0], name)
            found.samples.append(key)
        else:
            found.left_out["incomplete samples"] += 1
    if not found.samples:
        raise Damage("holds no sample of a picture and a text")
    return found


def _place(member: tarfile.TarInfo) -> tuple[str, str] | None:
    """(key, extension) of a member; none for folders, hidden files and names without a dot."""
    place = MEMBER.match(member.name.removeprefix("./"))
    if not member.isfile() or place is None or Path(member.name).name.startswith("."):
        return None
    return place[1], place[2].lower()


def _says_something(tar: tarfile.TarFile, extension: str, member: tarfile.TarInfo) -> bool:
    content = tar.extractfile(member)
    text = content.read(MAX_JSON_BYTES).decode("utf-8", "replace") if content else ""
    if extension == "txt":
        return bool(text.strip())
    try:
        return any(part.strip() for part in _captions(json.loads(text)))
    except ValueError:
        return False


def _captions(document: object) -> Iterator[str]:
    if not isinstance(document, dict):
        return
    texts = document.get("texts")
    for item in [document.get("caption"), *(texts if isinstance(texts, list) else [])]:
        text = item.get("text") if isinstance(item, dict) else item
        if isinstance(text, str):
            yield text
