"""What was learned of a partition's samples, on disk while the partition is rewritten."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import cast

from entityflow.codec import decode, encode
from entityflow.records import Amend


class LearnedAmends:
    """Amends by image_id, and which of them belong to a sample that is in a shard already. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "amends.sqlite"
        self._path.unlink(missing_ok=True)
        self._rows = sqlite3.connect(self._path, isolation_level=None)
        self._rows.execute("PRAGMA synchronous = OFF")  # thrown away at the end, and after a crash
        self._rows.execute("BEGIN")
        self._rows.execute(
            "CREATE TABLE amends (image_id TEXT, place INTEGER, amend BLOB, is_placed INTEGER DEFAULT 0)"
        )
        self._rows.execute("CREATE INDEX by_image ON amends (image_id)")

    def add(self, place: int, amend: Amend) -> None:
        self._rows.execute(
            "INSERT INTO amends (image_id, place, amend) VALUES (?, ?, ?)", (amend.image_id, place, encode(amend))
        )

    def of(self, image_id: str) -> list[tuple[int, Amend]]:
        """Place and content of what was learned of a sample that is in a shard."""
        found = self._rows.execute("SELECT place, amend FROM amends WHERE image_id = ?", (image_id,)).fetchall()
        if found:
            self._rows.execute("UPDATE amends SET is_placed = 1 WHERE image_id = ?", (image_id,))
        return [(place, cast(Amend, decode(amend))) for place, amend in found]

    def first_unplaced(self) -> int | None:
        """The lowest place of an amend whose sample is in no shard yet."""
        (place,) = self._rows.execute("SELECT min(place) FROM amends WHERE NOT is_placed").fetchone()
        return cast("int | None", place)

    def unplaced(self) -> int:
        (count,) = self._rows.execute("SELECT count(*) FROM amends WHERE NOT is_placed").fetchone()
        return cast(int, count)

    def __enter__(self) -> LearnedAmends:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._rows.close()
        self._path.unlink(missing_ok=True)
