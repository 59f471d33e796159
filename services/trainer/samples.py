"""The samples of one WebDataset tar: ours or img2dataset's. Texts are held in memory, pictures are read when drawn.

Keys and extensions are split as webdataset does it: at the first dot of the file name, extensions without case. What is
not understood is counted, never guessed; a tar that is cut, or holds a member twice, is refused as a whole.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.trainer.reasons import LITTER, NO_PICTURE, NOT_UNDERSTOOD, BadShard

PICTURES = frozenset({"jpg", "jpeg", "png", "webp"})
UNDERSTOOD = PICTURES | {"txt", "json"}
MAX_TEXT_BYTES = 1 << 20
MEMBER = re.compile(r"^((?:.*/)?[^./]+)\.([^/]+)$")


@dataclass(slots=True)
class Sample:
    """`offset` and `size` place the picture's bytes in the tar; none of them = a sample without a picture."""

    key: str
    offset: int | None = None
    size: int = 0
    texts: list[str] = field(default_factory=list)
    entities: list[str] = field(default_factory=list)


class ShardFile:
    """An opened tar, its samples with a picture in the tar's order, and what was left out by reason.

    Raises BadShard where the tar is not whole.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path, self.name = path, name or path.name
        self.left_out: Counter[str] = Counter()
        try:
            found = self._read()
        except (tarfile.TarError, EOFError, OSError) as exc:
            raise BadShard(self.name, f"no readable tar: {exc}") from exc
        self.samples = [sample for sample in found if sample.offset is not None]
        self.left_out[NO_PICTURE] = len(found) - len(self.samples)
        self._file = os.open(path, os.O_RDONLY)

    def picture(self, sample: Sample) -> bytes:
        assert sample.offset is not None
        return os.pread(self._file, sample.size, sample.offset)

    def close(self) -> None:
        os.close(self._file)

    def _read(self) -> list[Sample]:
        samples: dict[str, Sample] = {}
        names: set[str] = set()
        strangers: set[str] = set()
        last = ""
        with tarfile.open(self.path, mode="r:") as tar:
            for member in tar:
                place = _place(member)
                if place is None:
                    self.left_out[LITTER] += member.isfile()
                    continue
                key, extension = place
                if extension not in UNDERSTOOD:
                    strangers.add(key)
                    continue
                if member.name in names or (key in samples and key != last):
                    raise BadShard(self.name, f"member {member.name} comes twice or away from its sample")
                names.add(member.name)
                last = key
                _add(samples.setdefault(key, Sample(key)), extension, member, tar)
        self.left_out[NOT_UNDERSTOOD] = len(strangers - samples.keys())
        return list(samples.values())


def _place(member: tarfile.TarInfo) -> tuple[str, str] | None:
    """(key, extension) of a member; none for folders, hidden files and names without a dot."""
    name = member.name.removeprefix("./")
    place = MEMBER.match(name)
    if not member.isfile() or place is None or Path(name).name.startswith("."):
        return None
    return place[1], place[2].lower()


def _add(sample: Sample, extension: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
    if extension in PICTURES:
        sample.offset, sample.size = member.offset_data, member.size
        return
    if member.size > MAX_TEXT_BYTES:
        return
    content = tar.extractfile(member)
    text = content.read().decode("utf-8", "replace") if content else ""
    if extension == "txt":
        _add_text(sample, text)
    else:
        _add_record(sample, text)


def _add_record(sample: Sample, text: str) -> None:
    try:
        record: Any = json.loads(text)
    except ValueError:
        return
    if not isinstance(record, dict):
        return
    for item in _list(record.get("texts")):
        _add_text(sample, item.get("text") if isinstance(item, dict) else item)
    _add_text(sample, record.get("caption"))
    for item in _list(record.get("entities")):
        entity = item.get("id") if isinstance(item, dict) else item
        if isinstance(entity, str):
            sample.entities.append(entity)


def _add_text(sample: Sample, text: Any) -> None:
    if isinstance(text, str) and text.strip() and text.strip() not in sample.texts:
        sample.texts.append(text.strip())


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
