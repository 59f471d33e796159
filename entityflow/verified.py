"""What an earlier look at shards found whole, kept on this machine: nothing with the same ETags is read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


class VerifiedShards:
    """One file a shard. An unreadable one is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, shard_id: str, etags: Mapping[str, str]) -> list[str] | None:
        """Keys of the samples, where every file is the one that was read."""
        try:
            known = json.loads(self._path(shard_id).read_text())
            return list(known["keys"]) if known["etags"] == etags and all(etags.values()) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def note(self, shard_id: str, etags: Mapping[str, str], keys: list[str]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = self._path(shard_id).with_suffix(".part")
        scratch.write_text(json.dumps({"etags": dict(etags), "keys": keys}))
        scratch.replace(self._path(shard_id))

    def _path(self, shard_id: str) -> Path:
        return self._folder / f"{shard_id}.json"
