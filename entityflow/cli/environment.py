"""The local stack's `stack.env` as environment: every command works after `entityflow up` without an export."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

DEFAULT_DIR = Path(".stack")
STACK_FILE = "stack.env"
BROKER = "ENTITYFLOW_KAFKA_BOOTSTRAP"


def stack_dir(words: Sequence[str] = ()) -> Path:
    """The folder that `--dir` names among a command's words, else ENTITYFLOW_STACK_DIR, else `.stack`."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word == "--dir":
            return Path(after)
        if word.startswith("--dir="):
            return Path(word.removeprefix("--dir="))
    return Path(os.environ.get("ENTITYFLOW_STACK_DIR", DEFAULT_DIR))


def load_stack(directory: Path, *, replace: bool = False) -> bool:
    """Take over the variables of a stack's file; those that are set already win, unless `replace`.

    A broker named in the environment means another stack: then the file is not read at all.
    """
    path = directory / STACK_FILE
    if (BROKER in os.environ and not replace) or not path.is_file():
        return False
    for name, value in read_stack_file(path).items():
        if replace:
            os.environ[name] = value
        else:
            os.environ.setdefault(name, value)
    return True


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
