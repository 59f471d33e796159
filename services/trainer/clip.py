"""The model: open_clip's, by name or by a JSON configuration of ours, with its tokenizer and its transform."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL import Image
from torch import Tensor, nn

from entityflow.errors import UsageError
from services.trainer.losses import starting_values
from services.trainer.model_sources import LOCAL, find_model, find_weights
from services.trainer.pictures import recolour
from services.trainer.recipe import Recipe

MAX_TOKENIZER_WORDS = 200_000  # open_clip's tokenizer remembers every word it ever saw


@dataclass(frozen=True)
class Clip:
    """`config` is open_clip's model configuration with the recipe's sizes; mean and std are those of its transform."""

    model: nn.Module
    tokenizer: Any
    transform: Callable[[Image.Image], Tensor]  # of a picture to be looked at, not trained on
    config: dict[str, Any]
    preprocess: dict[str, Any]

    def logit_scale(self) -> float:
        """What similarities are multiplied by: 1 over the temperature."""
        return float(self.model.logit_scale.detach().exp())  # type: ignore[operator]

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        cache = getattr(self.tokenizer, "cache", None)
        if cache is not None and len(cache) > MAX_TOKENIZER_WORDS:
            cache.clear()
        tokens: Tensor = self.tokenizer(list(texts))
        return tokens

    def shown(self, images: Tensor, colours: Tensor) -> Tensor:
        """uint8 [n, 3, h, w] in other colours, as the numbers that the model takes."""
        kind: Any = {"device": images.device, "dtype": self.model.logit_scale.dtype}
        mean, std = (torch.tensor(self.preprocess[name], **kind).view(1, 3, 1, 1) for name in ("mean", "std"))
        return (recolour(images.to(**kind) / 255, colours.to(images.device)) - mean) / std


def build_clip(recipe: Recipe) -> Clip:
    """On the CPU, in float32, the same weights for the same seed. Raises UsageError for what open_clip cannot build."""
    name, config = find_model(recipe.model)
    start = starting_values(recipe.loss)
    torch.manual_seed(recipe.seed)
    try:
        with _without_warnings():
            model, _, transform = open_clip.create_model_and_transforms(
                name,
                pretrained=find_weights(recipe.pretrained),
                force_image_size=recipe.image_pixels,
                force_context_length=recipe.context_length,
                force_patch_dropout=recipe.patch_dropout or None,
                output_dict=True,
                **start,
            )
    except (RuntimeError, OSError, ValueError, TypeError) as exc:
        where = f" with weights {recipe.pretrained!r}" if recipe.pretrained else ""
        raise UsageError(
            f"open_clip cannot build {recipe.model!r}{where}: {exc}",
            hint="see ENTITYFLOW_TRAINER_MODEL and ENTITYFLOW_TRAINER_PRETRAINED",
        ) from exc
    if recipe.gradient_checkpointing:
        model.set_grad_checkpointing()
    tokenizer = open_clip.get_tokenizer(name, context_length=recipe.context_length)
    sized = {
        **config,
        **start,
        "vision_cfg": {**config["vision_cfg"], "image_size": recipe.image_pixels},
        "text_cfg": {**config["text_cfg"], "context_length": recipe.context_length},
    }
    chosen = open_clip.get_model_preprocess_cfg(model)
    preprocess = {name: chosen[name] for name in ("mean", "std", "interpolation", "resize_mode")}
    return Clip(model, tokenizer, transform, sized, preprocess)


def load_folder(folder: Path) -> Clip:
    """A model as `model pull` writes it, with its weights, in evaluation mode. Raises UsageError."""
    name, config = find_model(f"{LOCAL}{folder}")
    try:
        with _without_warnings():
            model, _, transform = open_clip.create_model_and_transforms(name, output_dict=True)
        tokenizer = open_clip.get_tokenizer(name)
    except (RuntimeError, OSError, ValueError, TypeError) as exc:
        raise UsageError(f"{folder} is no model that open_clip loads: {exc}", hint="entityflow model pull DIR") from exc
    return Clip(model.eval(), tokenizer, transform, config, open_clip.get_model_preprocess_cfg(model))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """open_clip warns that a model without weights is random; that is what is wanted here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
