"""Folders for open shards: one a handler, so that a sharder that lost its partition spoils nobody's files."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil


def new_folder(root: Path) -> Path:
    """A folder of this process alone."""
    root.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))


def remove_left_behind(root: Path) -> None:
    """What killed processes left. To be called once, when this process has no folder of its own yet."""
    for folder in root.glob("*-*"):
        number = folder.name.partition("-")[0]
        if number.isdigit() and (int(number) == os.getpid() or not psutil.pid_exists(int(number))):
            shutil.rmtree(folder, ignore_errors=True)
