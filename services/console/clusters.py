"""Clusters of duplicates: an accepted picture and what was merged into it, the newest ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from entityflow.records import Amend

MERGE = "merge"
MOST_COPIES = 24  # shown of one cluster


@dataclass
class Cluster:
    """copies: image_id -> distance in bits. candidates: all that were merged, those of the very same bytes too."""

    copies: dict[str, int | None] = field(default_factory=dict)
    texts: dict[str, None] = field(default_factory=dict)
    candidates: set[str] = field(default_factory=set)

    def take(self, amend: Amend) -> None:
        if amend.candidate_id:
            self.candidates.add(amend.candidate_id)
        if amend.duplicate_image_id and len(self.copies) < MOST_COPIES:
            self.copies[amend.duplicate_image_id] = amend.distance
        self.texts.update((text.text, None) for text in amend.texts if len(self.texts) < MOST_COPIES)


class Clusters:
    """Folds merges as they come; only the newest `most` clusters are held."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[str, Cluster] = {}

    def take(self, amend: Amend) -> None:
        if amend.kind != MERGE:
            return
        cluster = self._found.pop(amend.image_id, None) or Cluster()
        cluster.take(amend)
        self._found[amend.image_id] = cluster
        if len(self._found) > self._most:
            del self._found[next(iter(self._found))]

    def document(self) -> list[dict[str, Any]]:
        """Those with copies of other bytes first; then the newest first."""
        newest = reversed(self._found.items())
        return [
            {
                "image_id": image_id,
                "copies": [{"image_id": copy, "distance": apart} for copy, apart in cluster.copies.items()],
                "texts": list(cluster.texts),
                "merged": len(cluster.candidates),
            }
            for image_id, cluster in sorted(newest, key=lambda item: not item[1].copies)
        ]
