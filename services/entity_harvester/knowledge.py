"""The knowledge snapshot: every entity of a domain with its texts, one Parquet file a version in the bucket.

`knowledge/{version}.parquet`, the version being a hash of the content; `knowledge/latest.json` names the newest. Pairs
carry entity ids only: whoever wants texts (trainer, export) joins them from here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from entityflow.codec import from_plain, to_plain
from entityflow.ids import content_id
from entityflow.objects import ObjectMissing, Objects
from entityflow.records import Entity

LATEST = "knowledge/latest.json"
SCHEMA = 1
LABEL = "label"

_ITEM = pa.struct([("id", pa.string()), ("label", pa.string())])
COLUMNS = pa.schema(
    [
        ("entity_id", pa.string()),
        ("label", pa.string()),
        ("lang", pa.string()),
        ("definition", pa.string()),
        ("texts", pa.list_(pa.struct([("text", pa.string()), ("lang", pa.string()), ("kind", pa.string())]))),
        ("natural_type", _ITEM),
        ("ambiguous", pa.bool_()),
        ("parents", pa.list_(pa.struct([("id", pa.string()), ("label", pa.string()), ("depth", pa.int32())]))),
        ("attributes", pa.list_(pa.string())),
        ("sitelinks", pa.int32()),
        ("images", pa.list_(pa.string())),
        ("revision", pa.string()),
        ("retired", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Snapshot:
    version: str
    entities: Mapping[str, Entity]  # by id, retired ones included


def make_snapshot(entities: Iterable[Entity]) -> Snapshot:
    """Equal entities make an equal version, whatever their order."""
    by_id = {entity.id: entity for entity in sorted(entities, key=lambda entity: entity.id)}
    content = json.dumps([to_plain(entity) for entity in by_id.values()], sort_keys=True, ensure_ascii=False)
    return Snapshot(content_id(content), by_id)


def to_parquet(snapshot: Snapshot) -> bytes:
    table = pa.Table.from_pylist([_row(entity) for entity in snapshot.entities.values()], schema=COLUMNS)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"version": snapshot.version}), sink, compression="zstd")
    return sink.getvalue()


def from_parquet(data: bytes) -> Snapshot:
    return make_snapshot(_entity(row) for row in pq.read_table(io.BytesIO(data)).to_pylist())


def read_latest(objects: Objects) -> Snapshot | None:
    """The snapshot of the last pass; none before the first."""
    try:
        version = json.loads(objects.get(LATEST))["version"]
    except ObjectMissing:
        return None
    return from_parquet(objects.get(key_of(version)))


def write_snapshot(objects: Objects, snapshot: Snapshot) -> None:
    """The file first, then the pointer to it."""
    objects.put(key_of(snapshot.version), to_parquet(snapshot))
    active = sum(not entity.retired for entity in snapshot.entities.values())
    pointer = {"schema": SCHEMA, "version": snapshot.version, "entities": active, "key": key_of(snapshot.version)}
    objects.put(LATEST, json.dumps(pointer, sort_keys=True).encode())


def key_of(version: str) -> str:
    return f"knowledge/{version}.parquet"


def _row(entity: Entity) -> dict[str, Any]:
    plain = to_plain(entity)
    label = {"text": entity.label, "lang": entity.lang, "kind": LABEL}
    row = {name: plain[name] for name in COLUMNS.names if name in plain}
    return {
        **row,
        "entity_id": entity.id,
        "definition": entity.description,
        "texts": [label, *plain["synonyms"]],
    }


def _entity(row: dict[str, Any]) -> Entity:
    synonyms = [text for text in row["texts"] if text["kind"] != LABEL]
    return from_plain(Entity, {**row, "id": row["entity_id"], "description": row["definition"], "synonyms": synonyms})
