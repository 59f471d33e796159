"""What is published of a training run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from safetensors.torch import save
from torch import Tensor

from services.trainer.clip import Clip
from services.trainer.registry import CONFIGURATION, LINEAGE, WEIGHTS


def model_files(
    clip: Clip,
    weights: Mapping[str, Tensor],
    metrics: Mapping[str, float],
    lineage: Mapping[str, Any],
    details: Mapping[str, Any],
) -> dict[str, bytes]:
    """What open_clip's `local-dir:` loads, and what people read."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}
    configuration = {"model_cfg": clip.config, "preprocess_cfg": clip.preprocess}
    return {
        WEIGHTS: save(tensors, metadata={"format": "pt"}),
        CONFIGURATION: _json(configuration),
        "metrics.json": _json(metrics),
        "evaluation.json": _json(details),
        LINEAGE: _json(lineage),
        "README.md": model_card(metrics, lineage).encode(),
    }


def version_of(step: int, weights: bytes) -> str:
    return f"{step:08d}-{hashlib.sha256(weights).hexdigest()[:8]}"


def step_of(version: str) -> int:
    return int(version.split("-")[0])


def model_card(metrics: Mapping[str, float], lineage: Mapping[str, Any]) -> str:
    figures = "\n".join(f"| {name} | {value:.4g} |" for name, value in metrics.items())
    recipe = "\n".join(f"* {name}: {value}" for name, value in lineage["recipe"].items())
    return f"""---
library_name: open_clip
pipeline_tag: zero-shot-image-classification
---
# {lineage["recipe"]["name"]}

A CLIP model that entityflow trained on {lineage["samples"]} samples of {len(lineage["shards"])} shards in
{lineage["step"]} steps. Weights are a running average over the last steps.

    import open_clip
    model, _, preprocess = open_clip.create_model_and_transforms("local-dir:THIS_FOLDER")
    tokenizer = open_clip.get_tokenizer("local-dir:THIS_FOLDER")

## Figures
Held-out pictures, zero-shot. `accuracy` is over natural types; the interval is Wilson's at 95 %. `evaluation.json` has
accuracy by entity, natural type, frequency and branch, and by cohort of shards over time.

| measure | value |
|---|---|
{figures}

## How it was trained
{recipe}

## Limits
It knows what its domain holds and little else, and repeats the mistakes of texts found on the web. Pictures and texts
belong to their makers; the shards name source and licence of each.
"""


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1).encode()
