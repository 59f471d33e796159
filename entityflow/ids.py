"""Ids: functions of content, never of time or chance, so that a replay writes the same record again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def content_id(*parts: str) -> str:
    """Hex blake2b-128 over the parts, each preceded by its length: no two lists of parts share an input."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()


def query_id(entity_id: str, kind: str, text: str, lang: str) -> str:
    return content_id(entity_id, kind, text, lang)


def url_id(canonical_address: str) -> str:
    return content_id(canonical_address)


def candidate_id(url: str, query: str) -> str:
    """Of a url_id and the query_id that offered it."""
    return content_id(url, query)


def imported_candidate_id(url: str, texts: Iterable[str]) -> str:
    """Of a url_id and the texts that a list gave for it, in the list's order."""
    return content_id(url, *texts)


def image_id(original: bytes) -> str:
    """Hex SHA-256 of the downloaded bytes."""
    return hashlib.sha256(original).hexdigest()
