"""Settings of the trainer. What is empty here comes from the domain's section `training`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from entityflow.settings import Settings


class TrainerSettings(Settings):
    trainer_name: str = Field("", description="name of the model; empty = the domain's name")
    trainer_model: str = Field("", description="tiny, or any model name of open_clip")
    trainer_pretrained: str = Field("", description="weights to start from: an open_clip tag or a file")
    trainer_image_pixels: int | None = Field(None, ge=16, le=1024)
    trainer_context_length: int | None = Field(None, ge=8, le=77)
    trainer_batch_size: int | None = Field(None, ge=2, description="over all processes together")
    trainer_passes: int | None = Field(None, ge=1, description="draws of each sample before the trainer idles")
    trainer_learning_rate: float | None = Field(None, gt=0)
    trainer_alt_text_share: float | None = Field(None, ge=0, le=1)
    trainer_seed: int | None = Field(None, ge=0)
    trainer_replay_share: float | None = Field(None, ge=0, lt=1, description="in the long run; it begins at one half")

    trainer_warmup_steps: int | None = Field(None, ge=1, description="once, linear; empty = 2000, tiny 30")
    trainer_ema_half_life_steps: int | None = Field(None, ge=1, description="empty = 2000, tiny 30")
    trainer_weight_decay: float = Field(0.2, ge=0)
    trainer_max_gradient_norm: float = Field(1.0, gt=0)
    trainer_group_shards: int = Field(64, ge=1, description="most new, and most old, shards in a group")
    trainer_group_steps: int = Field(200, ge=1, description="length of a group without new shards")
    trainer_group_wait_seconds: float = Field(60.0, ge=0, description="how long few new samples wait for more")

    trainer_loss: str = Field("clip", pattern="^(clip|siglip)$")
    trainer_parts: int = Field(1, ge=1, description="of a step, one after the other: for batches that do not fit")
    trainer_precision: str = Field("auto", pattern="^(auto|fp32|amp_bf16)$", description="auto = amp_bf16 on CUDA")
    trainer_patch_dropout: float = Field(0.0, ge=0, lt=1, description="share of a picture's patches left out")
    trainer_gradient_checkpointing: bool = Field(False, description="less memory, a third more work")
    trainer_compile: bool = Field(False, description="torch.compile the model")

    trainer_evaluate_steps: int | None = Field(
        None, ge=1, description="least steps between two examinations after a group; empty = 500, tiny 20"
    )
    trainer_guard: Path | None = Field(None, description="pictures with classes that must not get lost")

    trainer_device: str = Field("auto", pattern="^(auto|cpu|cuda)$")
    trainer_threads: int = Field(2, ge=1, description="of torch, for each process")
    trainer_loaders: int = Field(2, ge=1, description="threads that decode pictures")
    trainer_prefetch_batches: int = Field(4, ge=1)
    trainer_cache_bytes: int = Field(20 << 30, gt=0, description="shards kept on the local disk")
    trainer_checkpoint_seconds: float = Field(300.0, gt=0)
    trainer_checkpoint_steps: int = Field(1000, ge=1)
    trainer_keep_checkpoints: int = Field(3, ge=1)
    trainer_publish_seconds: float = Field(1800.0, ge=0, description="least time between two published models")
    trainer_poll_seconds: float = Field(2.0, gt=0, description="how often an idle trainer looks for shards")
    trainer_watch_seconds: float = Field(30.0, gt=0, description="how often a plan's shards are looked after")
    trainer_max_bad_steps: int = Field(20, ge=1, description="steps in a row that are not finite before it stops")
    trainer_exit_when_idle: bool = Field(False, description="end when every sample was drawn often enough")
