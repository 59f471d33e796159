"""Where an architecture and the weights to start from come from: open_clip's registry, a JSON file, a folder.

A name of open_clip's may be followed by one of its tags for weights; a folder is what `model pull` writes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip

from entityflow.errors import UsageError

CONFIGURATIONS = Path(__file__).parent / "models"
LOCAL = "local-dir:"
HUB = "hf-hub:"
FOLDER_CONFIGURATION, FOLDER_WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"


def find_model(model: str) -> tuple[str, dict[str, Any]]:
    """(the name that open_clip builds it by, its configuration). Raises UsageError."""
    open_clip.add_model_config(CONFIGURATIONS)
    if model.startswith(LOCAL):
        return model, _folder_configuration(Path(model.removeprefix(LOCAL)))
    if model.startswith(HUB):
        raise UsageError(
            f"model {model!r} has to be fetched from a hub", hint="bring it here first and give local-dir:FOLDER"
        )
    name = _registered(Path(model)) if model.endswith(".json") else model
    config = open_clip.get_model_config(name)
    if config is None:
        known = ", ".join(open_clip.list_models()[:5])
        raise UsageError(
            f"model {model!r} is unknown",
            hint=f"tiny, a file NAME.json with embed_dim, vision_cfg and text_cfg, local-dir:FOLDER, or one of "
            f"open_clip's: {known}, ...",
        )
    return name, config


def find_weights(pretrained: str) -> str | None:
    """A tag or a file as open_clip takes it; none = random weights."""
    if pretrained.startswith(LOCAL):
        return str(Path(pretrained.removeprefix(LOCAL)) / FOLDER_WEIGHTS)
    return pretrained or None


def _registered(file: Path) -> str:
    if not file.is_file():
        raise UsageError(f"{file}: there is no such model configuration", hint="name a JSON file on this machine")
    try:
        open_clip.add_model_config(file)
    except ValueError as exc:
        raise UsageError(f"{file} is no JSON: {exc}", hint="mend the model's configuration") from exc
    return file.stem


def _folder_configuration(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / FOLDER_CONFIGURATION).read_bytes())["model_cfg"]
    except (OSError, ValueError, KeyError) as exc:
        raise UsageError(
            f"{folder} holds no {FOLDER_CONFIGURATION} with a model", hint="entityflow model pull FOLDER writes one"
        ) from exc
    return config
