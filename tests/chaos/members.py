"""Service processes that are killed, started again, added and removed; nobody else restarts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 60.0
RESTART_SECONDS = 1.0


@dataclass(frozen=True)
class Place:
    """One member of a service's group, with a folder of its own."""

    service: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.service}-{self.number}"


class Members:
    """`look()` restarts what has ended by itself or was killed, a second after its end."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._running: dict[Place, subprocess.Popen[bytes]] = {}
        self._ended: dict[Place, float] = {}
        self.codes: list[tuple[str, int]] = []  # of those that ended by themselves

    @property
    def places(self) -> list[Place]:
        return list(self._running)

    def state_of(self, place: Place) -> Path:
        return self._folder / "state" / place.name

    def add(self, place: Place) -> None:
        self.state_of(place).mkdir(parents=True, exist_ok=True)
        own = {"ENTITYFLOW_STATE_DIR": str(self.state_of(place)), "ENTITYFLOW_RUN_ID": place.name}
        with (self._folder / f"{place.name}.log").open("ab") as log:
            self._running[place] = subprocess.Popen(
                [sys.executable, "-m", "entityflow.serve", place.service],
                env={**os.environ, **self._environment, **own},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def kill(self, place: Place) -> bool:
        """SIGKILL; false where it does not run just now."""
        process = self._running[place]
        if process.poll() is not None:
            return False
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True

    def remove(self, place: Place) -> int | None:
        """SIGTERM, and its exit code; none where it lay dead."""
        process = self._running.pop(place)
        self._ended.pop(place, None)
        if process.poll() is not None:
            return None
        process.send_signal(signal.SIGTERM)
        return process.wait(STOP_SECONDS)

    def look(self) -> None:
        for place, process in list(self._running.items()):
            if process.poll() is None:
                continue
            if place not in self._ended:
                self._ended[place] = time.monotonic()
                if process.returncode != -signal.SIGKILL:
                    self.codes.append((place.name, process.returncode))
            elif time.monotonic() - self._ended[place] > RESTART_SECONDS:
                del self._ended[place]
                self.add(place)

    def end(self) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
            process.wait()
