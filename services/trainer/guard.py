"""A set of pictures with classes that the user names: what the model knew before must not get lost.

Either a folder with one folder of pictures a class, or the layout of CLIP_benchmark's WebDatasets: `classnames.txt`,
`zeroshot_classification_templates.txt` (with `{c}` for the class) and `test/*.tar` with `KEY.cls` beside each picture.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from PIL import Image

from entityflow.errors import UserError
from services.trainer.evaluation import Hits
from services.trainer.pictures import open_picture
from services.trainer.reasons import BadPicture
from services.trainer.zero_shot import TEMPLATES, Reader, Template, choices

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
MAX_PICTURES = 5000


@dataclass(frozen=True)
class Labelled:
    name: str
    picture: Image.Image
    label: int | None  # number of the class; none = unknown


@dataclass(frozen=True)
class GuardSet:
    path: Path
    classes: tuple[str, ...]
    templates: tuple[Template, ...] = TEMPLATES

    def pictures(self, limit: int = MAX_PICTURES) -> Iterator[Labelled]:
        """In an order of their own; what cannot be decoded is said and left out."""
        found = self._from_tars() if (self.path / "classnames.txt").exists() else self._from_folders()
        for count, (name, data, label) in enumerate(found):
            if count >= limit:
                return
            try:
                yield Labelled(name, open_picture(data), label)
            except BadPicture as exc:
                structlog.get_logger().warning("guard_picture_unreadable", name=name, error=str(exc))

    def _from_folders(self) -> Iterator[tuple[str, bytes, int | None]]:
        for number, name in enumerate(self.classes):
            for file in pictures_below(self.path / name):
                yield str(file.relative_to(self.path)), file.read_bytes(), number

    def _from_tars(self) -> Iterator[tuple[str, bytes, int | None]]:
        for tar in sorted((self.path / "test").glob("*.tar")):
            yield from _members(tar)


def open_guard(path: Path) -> GuardSet:
    """Raises UserError where the folder is neither of the two layouts."""
    names = path / "classnames.txt"
    if names.exists():
        file = path / "zeroshot_classification_templates.txt"
        return GuardSet(path, tuple(read_lines(names)), _templates(read_lines(file)) if file.exists() else TEMPLATES)
    classes = sorted(child.name for child in path.iterdir() if child.is_dir()) if path.is_dir() else []
    if len(classes) < 2:
        raise UserError(
            f"{path} is no guard set: it has neither classnames.txt nor a folder a class",
            hint="ENTITYFLOW_TRAINER_GUARD names a folder of folders with pictures, or a WebDataset of CLIP_benchmark",
        )
    return GuardSet(path, tuple(classes))


def guard_hits(reader: Reader, guard: GuardSet) -> Hits:
    items = [item for item in guard.pictures() if item.label is not None]
    if not items:
        raise UserError(f"{guard.path} holds no picture that can be read", hint="see ENTITYFLOW_TRAINER_GUARD")
    chosen = choices(reader.pictures(item.picture for item in items), reader.classifier(guard.classes, guard.templates))
    return tuple(choice == item.label for choice, item in zip(chosen, items, strict=True))


def pictures_below(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def read_lines(file: Path) -> list[str]:
    """Without empty ones."""
    return [line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip()]


def _templates(lines: Sequence[str]) -> tuple[Template, ...]:
    return tuple(lambda name, line=line: line.replace("{c}", name) for line in lines)


def _members(tar: Path) -> Iterator[tuple[str, bytes, int | None]]:
    """(key, picture, class), for samples whose members stand together."""
    picture: tuple[str, bytes] | None = None
    label: tuple[str, int] | None = None
    with tarfile.open(tar) as file:
        for member in file:
            key, _, extension = member.name.partition(".")
            content = file.extractfile(member)
            if content is None:
                continue
            if extension.lower() == "cls":
                label = key, int(content.read())
            elif f".{extension.lower()}" in SUFFIXES:
                picture = key, content.read()
            if picture and label and picture[0] == label[0]:
                yield key, picture[1], label[1]
                picture = label = None
