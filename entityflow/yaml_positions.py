"""A YAML file with the place of every key, so that a mistake can be told as `file:line:column`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from entityflow.errors import UsageError

Loc = tuple[Any, ...]


@dataclass(frozen=True, order=True)
class Complaint:
    """One mistake; complaints sort by where they are."""

    row: int
    column: int
    line: str = field(compare=False)


@dataclass(frozen=True)
class Document:
    path: Path
    tree: Any  # ruamel's nodes, which know their places
    plain: Any  # the same as dicts, lists and scalars

    def place(self, loc: Loc) -> tuple[int, int]:
        """Row and column, from 1, of the deepest part of `loc` that is in the file."""
        node, row, column = self.tree, 0, 0
        for part in loc:
            try:
                row, column = node.lc.item(part) if isinstance(part, int) else node.lc.key(part)
                node = node[part]
            except (AttributeError, KeyError, IndexError, TypeError):
                break
        return row + 1, column + 1

    def complaint(self, loc: Loc, message: str) -> Complaint:
        row, column = self.place(loc)
        return Complaint(row, column, f"{self.path}:{row}:{column}: {dotted(loc)}: {message}")

    def unknown_key(self, loc: Loc, known: Iterable[str]) -> Complaint:
        return self.complaint(loc, f"not known{_suggestion(str(loc[-1]), list(known))}")

    def unknown_word(self, loc: Loc, word: str, allowed: list[str]) -> Complaint:
        return self.complaint(loc, f"{word!r} is not one of {', '.join(allowed)}{_suggestion(word, allowed)}")


def dotted(loc: Loc) -> str:
    """`queries.kinds[0]` for people."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "file"


def _suggestion(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f", did you mean {near[0]}?" if near else f"; known are {', '.join(known)}" if known else ""


def read_document(path: Path) -> Document:
    """Raises UsageError where there is no such file, or what is in it is not a YAML mapping."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path}: not UTF-8 text (byte {exc.start})") from exc
    try:
        tree = YAML().load(text)
        plain = YAML(typ="safe").load(text)
    except MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise UsageError(f"{where}: not YAML: {exc.problem}") from exc
    except (YAMLError, ValueError) as exc:
        raise UsageError(f"{path}: not YAML: {exc}") from exc
    if not isinstance(plain, dict):
        raise UsageError(f"{path}:1:1: file: a mapping of keys is wanted")
    return Document(path, tree, plain)
