"""Text of strangers on a terminal: nothing in it moves the cursor, colours a line or turns its direction."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

# ECMA-48, with ESC and in 8 bits: CSI sequences; strings (OSC, DCS, PM, APC, SOS) that have an end; short escapes
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?"
)
UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))  # controls, bidi marks and other formats, half characters, breaks


def printable(text: str, limit: int | None = None) -> str:
    """One line without terminal escapes, controls, bidi marks and half characters; cut at `limit` characters."""
    whole = "".join(_shown(character) for character in ESCAPES.sub("", text))
    return cut(whole, limit)


def printable_lines(text: str, limit: int | None = None) -> str:
    """The same, with its line breaks kept."""
    return cut("\n".join(printable(line) for line in text.splitlines()), limit)


def printable_bytes(data: bytes, limit: int | None = None) -> str:
    return printable(data.decode("utf-8", "replace"), limit)


def printable_json(value: Any, limit: int) -> Any:
    """A JSON value whose texts are printable and at most `limit` characters long, its keys too."""
    if isinstance(value, str):
        return printable(value, limit)
    if isinstance(value, dict):
        return {printable(key, limit): printable_json(item, limit) for key, item in value.items()}
    if isinstance(value, list):
        return [printable_json(item, limit) for item in value]
    return value


def cut(text: str, limit: int | None) -> str:
    """At most `limit` characters, and how many are missing."""
    if limit is None or len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text) - limit} more)"


def _shown(character: str) -> str:
    if character in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    return "" if unicodedata.category(character) in UNSEEN else character
