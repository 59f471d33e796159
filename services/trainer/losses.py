"""CLIP's softmax loss and SigLIP's sigmoid loss, on one process or on many."""

from __future__ import annotations

import math

from open_clip.loss import ClipLoss, SigLipLoss

from services.trainer.ranks import Ranks

SOFTMAX, SIGMOID = "clip", "siglip"
# SigLIP's paper (2303.15343): a softer temperature, and a bias that begins with "no pair matches"
SIGMOID_START = {"init_logit_scale": math.log(10), "init_logit_bias": -10.0}


def make_loss(kind: str, ranks: Ranks) -> ClipLoss | SigLipLoss:
    """open_clip's flags are no options here: each other combination of the softmax loss has a wrong or wrongly scaled
    gradient on many processes."""
    if kind == SIGMOID:
        return SigLipLoss(rank=ranks.rank, world_size=ranks.size, dist_impl="gather")
    return ClipLoss(local_loss=True, gather_with_grad=True, cache_labels=True, rank=ranks.rank, world_size=ranks.size)


def starting_values(kind: str) -> dict[str, float]:
    """What of the model's configuration follows from the loss."""
    return dict(SIGMOID_START) if kind == SIGMOID else {}
