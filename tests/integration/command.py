"""The command line as a process, with the settings of a test in its environment."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from entityflow.settings import Settings


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """Variables that give a process the same settings; nothing of ours from outside comes along."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENTITYFLOW_")}
    own = {
        f"ENTITYFLOW_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings
        if name in settings.model_fields_set
    }
    return {**kept, **own, "PYTHONUNBUFFERED": "1", **more}


def run_command(
    settings: Settings, *words: str, folder: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "entityflow", *words],
        env=environment(settings, **more),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def json_of(settings: Settings, *words: str) -> Any:
    """The document that a command prints with --json."""
    ran = run_command(settings, *words, "--json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
