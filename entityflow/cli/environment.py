"""The local stack's `stack.env` as environment: every command works after `entityflow up` without an export."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

DEFAULT_DIR = Path(".stack")
STACK_FILE = "stack.env"
DOMAIN_FILE = "domain.env"  # what the stack grows
BROKER = "ENTITYFLOW_KAFKA_BOOTSTRAP"

_taken_over: set[str] = set()  # variables that came from a file: a newer file may change them


def stack_dir(words: Sequence[str] = ()) -> Path:
    """The folder that `--dir` names among a command's words, else ENTITYFLOW_STACK_DIR, else `.stack`."""
    for word, after in pairwise([*words, ""]):
        if word == "--dir":
            return Path(after)
        if word.startswith("--dir="):
            return Path(word.removeprefix("--dir="))
    return Path(os.environ.get("ENTITYFLOW_STACK_DIR", DEFAULT_DIR))


def load_stack(directory: Path) -> bool:
    """Take over the variables of a stack's file; those that somebody set win. A second call brings what has changed.

    A broker named by somebody means another stack: then the file is not read at all.
    """
    if set_by_somebody(BROKER) or not (directory / STACK_FILE).is_file():
        return False
    for path in (directory / STACK_FILE, directory / DOMAIN_FILE):
        for name, value in read_stack_file(path).items() if path.is_file() else ():
            if not set_by_somebody(name):
                os.environ[name] = value
                _taken_over.add(name)
    return True


def set_by_somebody(name: str) -> bool:
    """Whether a variable is in the environment and did not come from a stack's files."""
    return name in os.environ and name not in _taken_over


def read_stack_file(path: Path) -> dict[str, str]:
    """NAME=value lines; quotes around a value are not part of it."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip().removeprefix("export ")
        if text and not text.startswith("#") and "=" in text:
            name, _, value = text.partition("=")
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            found[name] = value[1:-1] if quoted else value
    return found
