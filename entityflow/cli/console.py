"""The console beside a command: started once in a session of its own, so that it outlives the command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from entityflow.errors import UserError
from entityflow.settings import Settings

START_SECONDS = 30.0
PID_FILE = "console.pid"
ADDRESS_FILE = "console.address"


def ensure_console(settings: Settings, directory: Path) -> str:
    """The address of a console that answers; it is started if there is none."""
    directory.mkdir(parents=True, exist_ok=True)
    address_file = directory / ADDRESS_FILE
    if address_file.is_file() and _answers(address_file.read_text()):
        return address_file.read_text()
    address_file.unlink(missing_ok=True)
    with (directory / "console.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "entityflow.serve", "console"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "ENTITYFLOW_CONSOLE_ADDRESS_FILE": str(address_file)},
        )
    (directory / PID_FILE).write_text(str(process.pid))
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if address_file.is_file() and _answers(address_file.read_text()):
            return address_file.read_text()
        time.sleep(0.1)
    raise UserError("the console did not start", hint=f"its log: {directory / 'console.log'}")


def _answers(address: str) -> bool:
    try:
        with urlopen(address + "/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError, ValueError):
        return False
