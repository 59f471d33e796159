"""Known-bad pictures, by hashes of the bytes as they came: found before anything is decoded or produced.

The project ships no list: operators get theirs from the bodies that keep them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from entityflow.errors import UsageError
from services.fetcher.questions import Questions

_HEX = re.compile(r"[0-9a-fA-F]+")
# by the number of hex digits
ALGORITHMS: dict[int, Callable[[bytes], bytes]] = {
    32: lambda data: hashlib.md5(data, usedforsecurity=False).digest(),
    40: lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    64: lambda data: hashlib.sha256(data).digest(),
}


class BadHashes:
    """A set of digests and, where one is set, a service that is asked by SHA-256."""

    def __init__(self, digests: frozenset[bytes] = frozenset(), service: Questions | None = None) -> None:
        self._digests, self._service = digests, service
        self._lengths = {len(digest) * 2 for digest in digests}

    async def holds(self, body: bytes, sha256: str) -> bool:
        """Raises Unanswered where the service does not say."""
        if any(ALGORITHMS[length](body) in self._digests for length in self._lengths):
            return True
        return self._service is not None and await self._service.ask(sha256)


def load_digests(path: Path | None) -> frozenset[bytes]:
    """MD5, SHA-1 and SHA-256 in hex, one a line, what follows a blank is a remark; UsageError names the bad line."""
    if path is None:
        return frozenset()
    name = f"ENTITYFLOW_FETCHER_BAD_HASHES_FILE={str(path)!r}"
    found = set()
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeError) as exc:
        raise UsageError(f"{name}: {exc}", hint="a text file, one hash a line") from exc
    for number, line in enumerate(lines, 1):
        word = (line.partition("#")[0].split() or [""])[0]
        if not word:
            continue
        if len(word) not in ALGORITHMS or not _HEX.fullmatch(word):
            raise UsageError(f"{name}, line {number}: {word[:80]!r} is no MD5, SHA-1 or SHA-256 in hex")
        found.add(bytes.fromhex(word))
    return frozenset(found)
