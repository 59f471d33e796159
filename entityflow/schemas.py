"""The Avro schema files of `schemas/avro/`: NAME.vN.avsc, one a record and version; the highest N is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import fastavro
import fastavro.schema

from entityflow import records


@dataclass(frozen=True, eq=False)
class SchemaFile:
    record: str  # name of the dataclass
    version: int
    fingerprint: bytes  # 8 bytes, little endian CRC-64-AVRO of the canonical form
    parsed: Any
    type: type


@cache
def schema_files() -> dict[bytes, SchemaFile]:
    """Every known schema by the fingerprint that messages carry."""
    return {file.fingerprint: file for file in _read()}


@cache
def current_schemas() -> dict[str, SchemaFile]:
    """The newest schema of each record."""
    newest: dict[str, SchemaFile] = {}
    for file in sorted(schema_files().values(), key=lambda file: file.version):
        newest[file.record] = file
    return newest


def _read() -> list[SchemaFile]:
    found = []
    for path in sorted(files("schemas").joinpath("avro").iterdir(), key=lambda path: path.name):
        name, version, _ = path.name.split(".")
        schema = json.loads(path.read_text())
        parsed = fastavro.parse_schema(schema)
        canonical = fastavro.schema.to_parsing_canonical_form(schema)
        # fastavro gives the fingerprint as hex of the little-endian bytes, as the specification writes them
        fingerprint = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
        found.append(SchemaFile(name, int(version[1:]), fingerprint, parsed, getattr(records, name)))
    return found
