"""Which of some names a picture is, and which text: what a CLIP model can do without being told more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import torch
from open_clip import build_zero_shot_classifier
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from services.trainer.clip import Clip

T = TypeVar("T")
Template = Callable[[str], str]

CHUNK = 64
TEMPLATES: tuple[Template, ...] = (
    lambda name: name,
    lambda name: f"a photo of a {name}.",
    lambda name: f"a picture of a {name}.",
)


class Reader:
    """A model in evaluation mode, on its device. Features have length one."""

    def __init__(self, clip: Clip, device: torch.device) -> None:
        self._clip, self._device = clip, device

    @torch.no_grad()
    def pictures(self, pictures: Iterable[Image.Image]) -> Tensor:
        """[n, dimensions]; pictures go through open_clip's own transform, as those of a user do."""
        parts = [self._pictures(chunk) for chunk in _in_chunks(pictures)]
        return torch.cat(parts)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """[n, dimensions]"""
        return torch.cat([self._texts(chunk) for chunk in _in_chunks(texts)])

    @torch.no_grad()
    def classifier(self, names: Sequence[str], templates: Sequence[Template] = TEMPLATES) -> Tensor:
        """[dimensions, names]"""
        found: Tensor = build_zero_shot_classifier(
            self._clip.model, self._clip.tokenizer, list(names), templates, CHUNK, self._device
        )
        return found

    def _pictures(self, chunk: Sequence[Image.Image]) -> Tensor:
        batch = torch.stack([self._clip.transform(picture) for picture in chunk]).to(self._device)
        features: Tensor = normalize(self._clip.model.encode_image(batch), dim=-1)  # type: ignore[operator]
        return features

    def _texts(self, chunk: Sequence[str]) -> Tensor:
        tokens = self._clip.tokenize(chunk).to(self._device)
        features: Tensor = normalize(self._clip.model.encode_text(tokens), dim=-1)  # type: ignore[operator]
        return features


def choices(pictures: Tensor, classifier: Tensor) -> list[int]:
    """The column of the best name of each picture."""
    return [int(best) for part in torch.split(pictures, 1024) for best in (part @ classifier).argmax(1)]


def text_ranks(pictures: Tensor, texts: Tensor, own: Sequence[str]) -> list[int]:
    """How many other texts each picture is nearer to than to its own; an equal text is its own."""
    same = _equal_texts(own)
    found: list[int] = []
    for start in range(0, len(pictures), CHUNK):
        scores = pictures[start : start + CHUNK] @ texts.T
        rows = range(start, start + len(scores))
        for row, score in zip(rows, scores, strict=True):
            better = score > score[row]
            found.append(int(better.sum()) - int(better[same[own[row]]].sum()))
    return found


def _equal_texts(own: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, text in enumerate(own):
        places.setdefault(text, []).append(place)
    return places


def _in_chunks(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
