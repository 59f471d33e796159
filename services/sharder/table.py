"""The Parquet beside a shard: one row a sample, and one for each sample that has left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEXT, INTEGER = pa.string(), pa.int64()
SCHEMA = pa.schema(
    [
        ("key", TEXT),
        ("url", TEXT),
        ("caption", TEXT),
        ("status", TEXT),
        ("error_message", TEXT),
        ("width", INTEGER),
        ("height", INTEGER),
        ("original_width", INTEGER),
        ("original_height", INTEGER),
        ("sha256", TEXT),
        ("page_url", TEXT),
        ("license", TEXT),
        ("creator", TEXT),
        ("entities", pa.list_(TEXT)),
        ("candidates", pa.list_(TEXT)),
        ("urls", pa.list_(TEXT)),
        ("page_urls", pa.list_(TEXT)),
        ("phash", TEXT),
        ("dhash", TEXT),
        ("hash_version", INTEGER),
        ("heldout", pa.bool_()),
        ("offset", INTEGER),
        ("bytes", INTEGER),
    ]
)


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Equal rows give equal bytes under the same version of the library."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), path, compression="zstd")


def keys_of(path: Path) -> list[str]:
    return [str(key) for key in pq.read_table(path, columns=["key"])["key"].to_pylist()]
