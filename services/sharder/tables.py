"""Tables of shards as files on this machine: each is fetched once, by its SHA-256."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from entityflow.errors import LossDetected
from entityflow.objects import Objects
from entityflow.shards import ShardObject
from services.sharder.table import keys_of


class TableCache:
    def __init__(self, objects: Objects, folder: Path) -> None:
        self._objects, self._folder = objects, folder

    def keys(self, table: ShardObject) -> list[str]:
        """Every picture that is or was in the shard."""
        return keys_of(self.path(table))

    def path(self, table: ShardObject) -> Path:
        """Raises LossDetected where the table is not what its manifest says."""
        cached = self._folder / f"{table.sha256}.parquet"
        if not cached.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._fetch(table, cached)
        return cached

    def _fetch(self, table: ShardObject, target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder) as own:
            arrived = Path(own) / target.name
            self._objects.download(table.key, arrived)
            found = hashlib.sha256(arrived.read_bytes()).hexdigest()
            if found != table.sha256:
                raise LossDetected(
                    f"{table.key} has sha256 {found[:12]}, its manifest says {table.sha256[:12]}",
                    hint="entityflow shards verify lists what is damaged",
                )
            arrived.replace(target)
