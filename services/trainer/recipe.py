"""What is trained and how: settings and the domain's section `training` made one value."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from entityflow.domain import Domain, Training
from entityflow.errors import UsageError
from services.trainer.settings import TrainerSettings

TINY = "tiny"
TINY_HORIZON_STEPS = 30
HORIZON_STEPS = 2000  # warm-up and averaging of open_clip's published runs
LEAST_REPLAY_SHARE = 0.1
AUTO, FP32, AMP_BF16 = "auto", "fp32", "amp_bf16"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """`batch_size` is that of all processes together; it must divide by their number and by the `parts` of a step."""

    name: str
    model: str
    pretrained: str
    image_pixels: int
    context_length: int
    batch_size: int
    passes: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    max_gradient_norm: float
    ema_half_life_steps: int
    replay_share: float
    alt_text_share: float
    seed: int
    group_shards: int
    group_steps: int
    loss: str = "clip"
    parts: int = 1
    precision: str = AUTO
    patch_dropout: float = 0.0
    gradient_checkpointing: bool = False
    compile: bool = False

    def architecture(self) -> str:
        """Digest of what the weights' shapes follow from: a checkpoint of another one is foreign."""
        shape = [self.model, self.image_pixels, self.context_length, *([] if self.loss == "clip" else [self.loss])]
        return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:16]

    def to_plain(self) -> dict[str, object]:
        return asdict(self)

    def for_processes(self, count: int) -> Recipe:
        """The same recipe; raises UsageError where the batch does not divide."""
        if self.batch_size % (count * self.parts):
            parts = f" in {self.parts} parts" if self.parts > 1 else ""
            raise UsageError(
                f"a batch of {self.batch_size} cannot be dealt to {count} processes{parts}",
                hint=f"set ENTITYFLOW_TRAINER_BATCH_SIZE to a multiple of {count * self.parts}",
            )
        return replace(self)


def _replay_share(share: float) -> float:
    """Raises UsageError for a share that keeps too little: BioCLIP 2's tenth is the least that is known to hold."""
    if 0 < share < LEAST_REPLAY_SHARE:
        raise UsageError(
            f"a replay share of {share:g} lets earlier groups be forgotten",
            hint=f"set ENTITYFLOW_TRAINER_REPLAY_SHARE to {LEAST_REPLAY_SHARE:g} or more, or to 0 for none at all",
        )
    return share


def make_recipe(settings: TrainerSettings, domain: Domain | None) -> Recipe:
    base = domain.training if domain is not None else Training()
    model = settings.trainer_model or base.model
    horizon = TINY_HORIZON_STEPS if model == TINY else HORIZON_STEPS
    return Recipe(
        name=settings.trainer_name or (domain.name if domain is not None else "clip"),
        model=model,
        pretrained=settings.trainer_pretrained,
        image_pixels=settings.trainer_image_pixels or base.image_size,
        context_length=settings.trainer_context_length or base.context_length,
        batch_size=settings.trainer_batch_size or base.batch_size,
        passes=settings.trainer_passes or base.epochs,
        learning_rate=settings.trainer_learning_rate or base.learning_rate,
        warmup_steps=settings.trainer_warmup_steps or horizon,
        weight_decay=settings.trainer_weight_decay,
        max_gradient_norm=settings.trainer_max_gradient_norm,
        ema_half_life_steps=settings.trainer_ema_half_life_steps or horizon,
        replay_share=_replay_share(_first(settings.trainer_replay_share, base.replay_share)),
        alt_text_share=_first(settings.trainer_alt_text_share, base.alt_text_share),
        seed=int(_first(settings.trainer_seed, base.seed)),
        group_shards=settings.trainer_group_shards,
        group_steps=settings.trainer_group_steps,
        loss=settings.trainer_loss,
        parts=settings.trainer_parts,
        precision=settings.trainer_precision,
        patch_dropout=settings.trainer_patch_dropout,
        gradient_checkpointing=settings.trainer_gradient_checkpointing,
        compile=settings.trainer_compile,
    )


def _first(value: float | None, default: float) -> float:
    return default if value is None else value
