"""What lies beside a committed offset, in its metadata: the uuid of the topic that the offset belongs to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    topic_uuid: str


def read_mark(text: str | None) -> Mark | None:
    """The mark that a committed offset carries; none where somebody else committed it."""
    uuid = (text or "").partition(" ")[0]
    return Mark(uuid) if uuid else None
