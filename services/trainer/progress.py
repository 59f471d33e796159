"""What a run says of itself: a log line at most once a second, and every step as a line of JSON."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from math import log
from pathlib import Path
from typing import Any

import structlog

from entityflow.metrics import TRAINER_DATA_WAIT, TRAINER_LOSS, TRAINER_SAMPLES, TRAINER_STEPS
from services.trainer.stepping import Step

LINE_SECONDS = 1.0
STUCK_STEPS = 300
STUCK_SHARE = 0.01


class Progress:
    """Writing a figure never ends a run: a file that cannot be written is said once and left alone."""

    def __init__(self, file: Path | None, batch_size: int) -> None:
        self._file, self._batch_size = file, batch_size
        self._log = structlog.get_logger()
        self._losses: deque[float] = deque(maxlen=STUCK_STEPS)
        self._told_stuck = False
        self._begin()

    def step(self, number: int, step: Step, waited_seconds: float, place: Mapping[str, Any]) -> None:
        """After each step; `place` is what tells where the run is: group, kind, what is left."""
        self._steps += 1
        self._waited += waited_seconds
        self._losses.append(step.loss)
        TRAINER_STEPS.inc()
        TRAINER_SAMPLES.inc(self._batch_size)
        TRAINER_LOSS.set(step.loss)
        self.write({"event": "step", "step": number, "loss": step.loss, "learning_rate": step.rate,
                    "logit_scale": step.logit_scale, "gradient_norm": step.gradient_norm,
                    "waited_seconds": round(waited_seconds, 6), **place})  # fmt: skip
        if not step.finite:
            self._log.warning("step_skipped", step=number, loss=step.loss, gradient_norm=step.gradient_norm)
        self._say_stuck()
        if time.monotonic() - self._begun >= LINE_SECONDS:
            self._line(number, step, place)

    def write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        try:
            with self._file.open("a") as file:
                file.write(json.dumps({"at": round(time.time(), 3), **line}) + "\n")
        except OSError as exc:
            self._log.warning("metrics_file_failed", file=str(self._file), error=str(exc))
            self._file = None

    def _line(self, number: int, step: Step, place: Mapping[str, Any]) -> None:
        seconds = time.monotonic() - self._begun
        share = self._waited / seconds
        TRAINER_DATA_WAIT.set(share)
        self._log.info(
            "training",
            step=number,
            loss=round(step.loss, 3),
            loss_of_chance=round(log(self._batch_size), 3),
            samples_per_second=round(self._steps * self._batch_size / seconds),
            logit_scale=round(step.logit_scale, 1),
            learning_rate=f"{step.rate:.2g}",
            data_wait=f"{share:.0%}",
            **place,
        )
        self._begin()

    def _say_stuck(self) -> None:
        chance = log(self._batch_size)
        full = len(self._losses) == STUCK_STEPS
        if full and not self._told_stuck and abs(sum(self._losses) / STUCK_STEPS - chance) < STUCK_SHARE * chance:
            self._told_stuck = True
            self._log.warning(
                "loss_stuck", steps=STUCK_STEPS, loss=round(chance, 3),
                hint="the model learns nothing: check texts, lower ENTITYFLOW_TRAINER_LEARNING_RATE",
            )  # fmt: skip

    def _begin(self) -> None:
        self._begun, self._steps, self._waited = time.monotonic(), 0, 0.0
