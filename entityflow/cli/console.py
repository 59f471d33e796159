"""The console beside a command: started once, with the stack's other servers, so that it outlives the command."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from entityflow.embedded.processes import ServerProcess

NAME = "console"


def ensure_console(folder: Path, prefix: str) -> str:
    """The address of a console that answers for this prefix; it is started if there is none."""
    process = ServerProcess(NAME, folder)
    address = folder / "run" / f"console{prefix and '-' + prefix}.address"
    if process.state() == "running" and _answers(address):
        return address.read_text()
    process.stop()
    for old in address.parent.glob("console*.address"):
        old.unlink()
    command = [sys.executable, "-m", "entityflow.serve", NAME]
    process.start(command, {"ENTITYFLOW_CONSOLE_ADDRESS_FILE": str(address)})
    process.await_ready(lambda: _answers(address))
    return address.read_text()


def stop_console(folder: Path) -> None:
    if folder.is_dir():
        ServerProcess(NAME, folder).stop()


def _answers(address: Path) -> bool:
    try:
        with urlopen(address.read_text() + "/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError, ValueError):
        return False
