"""`entityflow model evaluate`: how well a model names pictures of yours, among classes of yours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from entityflow.errors import UserError
from services.trainer.guard import GuardSet, Labelled, pictures_below, read_lines
from services.trainer.intervals import wilson
from services.trainer.pictures import open_picture
from services.trainer.reasons import BadPicture
from services.trainer.zero_shot import Reader


@dataclass(frozen=True)
class Answer:
    """`score`: softmax over the classes at the model's temperature."""

    name: str
    truth: str | None
    answer: str
    score: float


def read_classes(file: Path) -> list[str]:
    """One a line. Raises UserError where there are not two different ones."""
    if not file.is_file():
        raise UserError(f"{file}: there is no such file", hint="a text file with one class a line")
    names = list(dict.fromkeys(read_lines(file)))
    if len(names) < 2:
        raise UserError(f"{file} names {len(names)} classes: at least two are needed", hint="one class a line")
    return names


def read_pictures(folder: Path, classes: Sequence[str]) -> tuple[list[Labelled], list[str]]:
    """(pictures, files that cannot be decoded). A picture in a folder named like a class has that class."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder", hint="a folder of pictures, or of one folder a class")
    if (folder / "classnames.txt").exists():
        return list(GuardSet(folder, tuple(classes)).pictures()), []
    numbers = {name: number for number, name in enumerate(classes)}
    found, broken = [], []
    for file in pictures_below(folder):
        try:
            picture = open_picture(file.read_bytes())
        except BadPicture:
            broken.append(str(file.relative_to(folder)))
            continue
        found.append(Labelled(str(file.relative_to(folder)), picture, numbers.get(file.parent.name)))
    if not found:
        raise UserError(f"{folder} holds no picture that can be read", hint="jpg, jpeg, png or webp files")
    return found, broken


def answer(reader: Reader, logit_scale: float, classes: Sequence[str], pictures: Sequence[Labelled]) -> list[Answer]:
    features = reader.pictures(item.picture for item in pictures)
    shares = torch.softmax(logit_scale * features @ reader.classifier(classes), dim=1)
    best = shares.max(1)
    return [
        Answer(item.name, None if item.label is None else classes[item.label], classes[int(choice)], float(share))
        for item, choice, share in zip(pictures, best.indices, best.values, strict=True)
    ]


def summary(answers: Sequence[Answer], classes: Sequence[str], broken: Sequence[str]) -> dict[str, Any]:
    """As JSON; accuracy is null where no picture lies in a folder named like a class."""
    known = [item for item in answers if item.truth is not None]
    right = Counter(item.truth for item in known if item.truth == item.answer)
    counts = Counter(item.truth for item in known)
    low, high = wilson(right.total(), len(known))
    per_class = {
        name: {"pictures": counts[name], "accuracy": right[name] / counts[name]} for name in classes if counts[name]
    }
    recalls = [row["accuracy"] for row in per_class.values()]
    return {
        "classes": len(classes),
        "chance": 1 / len(classes),
        "pictures": len(answers),
        "labelled": len(known),
        "unreadable": list(broken),
        "accuracy": right.total() / len(known) if known else None,
        "accuracy_low": low if known else None,
        "accuracy_high": high if known else None,
        "mean_per_class_recall": sum(recalls) / len(recalls) if recalls else None,
        "per_class": per_class,
        "results": [
            {"path": item.name, "class": item.truth, "answer": item.answer, "score": round(item.score, 6)}
            for item in answers
        ],
    }
