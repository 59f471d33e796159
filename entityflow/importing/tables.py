"""Parquet, img2dataset's own among them: small batches, texts decoded here, so that bad bytes are one row's fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from entityflow.errors import UserError
from entityflow.importing.rows import Fault, List, Row

BATCH_ROWS = 1024


def parquet_list(path: Path) -> List:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as exc:
        raise UserError(f"{path} is no whole Parquet file: {exc}", hint="was it copied to its end?") from exc
    schema = file.schema_arrow
    types = {field.name: str(field.type) for field in schema if not _is_text(field.type)}
    usable = [name for name in schema.names if name not in types and schema.names.count(name) == 1]
    return List(path.name, schema.names, _rows(path, file, usable), types)


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary)
    return any(check(kind) for check in (*checks, pa.types.is_large_binary, pa.types.is_null))


def _rows(path: Path, file: Any, columns: list[str]) -> Iterator[Row | Fault]:
    number = 0
    try:
        for batch in file.iter_batches(BATCH_ROWS, columns=columns):
            for values in zip(*(_bytes(batch.column(name)) for name in columns), strict=True):
                number += 1
                yield Row(number, dict(zip(columns, values, strict=True)))
    except (pa.ArrowException, OSError) as exc:
        raise UserError(f"{path} cannot be read after row {number}: {exc}", hint="was it copied to its end?") from exc


def _bytes(column: Any) -> list[str | None]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    raw = column.cast(pa.large_binary()).to_pylist()
    return [None if value is None else value.decode("utf-8", "surrogateescape") for value in raw]
