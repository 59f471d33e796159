"""Server processes that outlive the command that started them: a pid file each, and proof that a pid is still ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from entityflow.errors import UserError

STOP_SECONDS = 10.0
READY_SECONDS = 60.0
LOOK_SECONDS = 0.05
LOG_TAIL_LINES = 5


@dataclass(frozen=True)
class Running:
    """A process by pid and start time: a pid alone may belong to somebody else after a reboot."""

    pid: int
    started: float


class ServerProcess:
    """One server of a stack: `folder/run/NAME.json` says which process, `folder/logs/NAME.log` what it printed."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        self._file = folder / "run" / f"{name}.json"
        for path in (self.log.parent, self._file.parent):
            path.mkdir(parents=True, exist_ok=True)

    def state(self) -> str:
        """running | stopped | killed (a pid file whose process is gone)"""
        if self._process() is not None:
            return "running"
        return "killed" if self._file.exists() else "stopped"

    @property
    def pid(self) -> int | None:
        process = self._process()
        return process.pid if process else None

    def _process(self) -> psutil.Process | None:
        try:
            noted = Running(**json.loads(self._file.read_text()))
            process = psutil.Process(noted.pid)
            same = abs(process.create_time() - noted.started) < 1.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, ValueError, TypeError, psutil.Error):
            return None

    def start(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start in a session of its own, so that Ctrl-C of the command that started it does not reach it."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                list(command),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        noted = Running(process.pid, psutil.Process(process.pid).create_time())
        scratch = self._file.with_suffix(".new")
        scratch.write_text(json.dumps(asdict(noted)))
        scratch.replace(self._file)
        # nobody waits for it: it is reaped by init once this command has ended
        process.returncode = 0

    def await_ready(self, is_ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        """Returns when the server answers; raises UserError with the end of its log where it dies or stays silent."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            if self.state() != "running":
                raise UserError(f"{self.name} ended while it started: {self._tail()}", hint=f"its log: {self.log}")
            if time.monotonic() > deadline:
                raise UserError(
                    f"{self.name} does not answer after {seconds:.0f} s: {self._tail()}", hint=f"its log: {self.log}"
                )
            time.sleep(LOOK_SECONDS)

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return " | ".join(lines[-LOG_TAIL_LINES:])[-500:] or "it printed nothing"

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM, after `seconds` SIGKILL, for the process and what it started; then the pid file goes."""
        process = self._process()
        if process is not None:
            family = [process, *_children(process)]
            process.send_signal(signal.SIGTERM)
            _, alive = psutil.wait_procs([process], timeout=seconds)
            for one in {*alive, *(child for child in family if child.is_running())}:
                _kill(one)
            psutil.wait_procs(family, timeout=STOP_SECONDS)
        self._file.unlink(missing_ok=True)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
