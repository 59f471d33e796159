"""What the knowledge snapshot says of entities: names, natural type, parents, definition."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

from services.trainer.store import Missing, Store

LATEST = "knowledge/latest.json"


@dataclass(frozen=True, slots=True)
class EntityTexts:
    label: str
    names: tuple[str, ...]  # the label first
    natural_type: str | None = None
    parents: tuple[str, ...] = ()
    definition: str | None = None


@dataclass(frozen=True)
class Knowledge:
    version: str | None
    entities: Mapping[str, EntityTexts]

    def natural_type(self, entity_id: str) -> str | None:
        entity = self.entities.get(entity_id)
        return entity.natural_type if entity else None

    def natural_types(self) -> list[str]:
        return sorted({entity.natural_type for entity in self.entities.values() if entity.natural_type})


NOTHING = Knowledge(None, {})


def latest_version(store: Store) -> str | None:
    """Of the newest harvest pass; none before the first."""
    try:
        version: str = json.loads(store.get(LATEST))["version"]
    except Missing:
        return None
    return version


def read_knowledge(store: Store, version: str | None) -> Knowledge:
    """That version; nothing where it is none or gone."""
    if version is None:
        return NOTHING
    try:
        return parse_knowledge(version, store.get(f"knowledge/{version}.parquet"))
    except Missing:
        return NOTHING


def parse_knowledge(version: str, parquet: bytes) -> Knowledge:
    import pyarrow.parquet as pq

    columns = ["entity_id", "label", "lang", "definition", "texts", "natural_type", "parents", "retired"]
    rows = pq.read_table(io.BytesIO(parquet), columns=columns).to_pylist()
    return Knowledge(version, {row["entity_id"]: _texts(row) for row in rows if not row["retired"]})


def _texts(row: Mapping[str, object]) -> EntityTexts:
    label, lang = str(row["label"]), row["lang"]
    others = [item["text"] for item in row["texts"] or () if item["lang"] in (lang, "mul", None)]  # type: ignore[attr-defined]
    natural_type = row["natural_type"]
    parents = sorted(row["parents"] or (), key=lambda parent: parent["depth"])  # type: ignore[call-overload]
    return EntityTexts(
        label=label,
        names=tuple(dict.fromkeys([label, *others])),
        natural_type=natural_type["label"] if natural_type else None,  # type: ignore[index]
        parents=tuple(parent["label"] for parent in parents),
        definition=row["definition"] or None,  # type: ignore[arg-type]
    )
