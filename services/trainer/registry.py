"""Published models: `models/NAME/VERSION/` with weights, configuration, figures and origin, and aliases beside them.

A version is complete when its manifest is there; it is named by the step and the weights, so that publishing again
writes the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from entityflow.errors import UserError
from services.trainer.store import Missing, Store

ROOT = "models/"
MANIFEST = "manifest.json"
WEIGHTS = "open_clip_model.safetensors"
CONFIGURATION = "open_clip_config.json"
LINEAGE = "lineage.json"
LATEST, CHAMPION = "latest", "champion"


@dataclass(frozen=True)
class Published:
    name: str
    version: str
    metrics: Mapping[str, float]
    promoted: bool
    why: str
    at: float

    @property
    def key(self) -> str:
        return folder(self.name, self.version)


def folder(name: str, version: str) -> str:
    return f"{ROOT}{name}/{version}/"


def write_model(store: Store, published: Published, files: Mapping[str, bytes]) -> None:
    """Files first, then the manifest."""
    for name, data in files.items():
        store.put(published.key + name, data)
    listing = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    manifest = {
        "schema": 1,
        "name": published.name,
        "version": published.version,
        "metrics": dict(published.metrics),
        "promoted": published.promoted,
        "why": published.why,
        "at": published.at,
        "files": listing,
    }
    store.put(published.key + MANIFEST, json.dumps(manifest, sort_keys=True, indent=1).encode())


def point_aliases(store: Store, published: Published) -> None:
    """Make a version that was written `latest`, and `champion` where it was promoted."""
    for which in (CHAMPION, LATEST) if published.promoted else (LATEST,):
        store.put(_alias_key(published.name, which), json.dumps({"version": published.version}).encode())


def list_models(store: Store, name: str | None = None) -> Iterator[Published]:
    """Complete versions, oldest first."""
    keys = [key for key in store.keys(f"{ROOT}{name}/" if name else ROOT) if key.endswith("/" + MANIFEST)]
    return iter(sorted((_published(json.loads(store.get(key))) for key in keys), key=lambda model: model.at))


def alias(store: Store, name: str, which: str) -> str | None:
    try:
        version: str = json.loads(store.get(_alias_key(name, which)))["version"]
    except Missing:
        return None
    return version


def champion(store: Store, name: str) -> Published | None:
    """The promoted model; none before the first."""
    version = alias(store, name, CHAMPION)
    if version is None:
        return None
    try:
        return _published(json.loads(store.get(folder(name, version) + MANIFEST)))
    except Missing:
        return None


def find_model(store: Store, name: str, wanted: str) -> Published:
    """By version, or as `latest` or `champion`. Raises UserError."""
    version = alias(store, name, wanted) if wanted in (LATEST, CHAMPION) else wanted
    if version is None:
        raise UserError(f"no model {name} is published yet", hint="entityflow run trainer trains one")
    try:
        return _published(json.loads(store.get(folder(name, version) + MANIFEST)))
    except Missing as exc:
        raise UserError(
            f"there is no model {name} {version}", hint="entityflow model list shows what there is"
        ) from exc


def promote(store: Store, published: Published, why: str) -> Published:
    """The version as champion from now on."""
    promoted = replace(published, promoted=True, why=why)
    key = published.key + MANIFEST
    manifest = {**json.loads(store.get(key)), "promoted": True, "why": why}
    store.put(key, json.dumps(manifest, sort_keys=True, indent=1).encode())
    store.put(_alias_key(published.name, CHAMPION), json.dumps({"version": published.version}).encode())
    return promoted


def read_file(store: Store, published: Published, name: str) -> bytes:
    """Raises Missing."""
    return store.get(published.key + name)


def pull_model(store: Store, name: str, version: str, target: Path) -> list[Path]:
    """Write the files of a version into a folder, each verified. Raises UserError where one is missing or differs."""
    key = folder(name, version)
    try:
        listing: Mapping[str, Any] = json.loads(store.get(key + MANIFEST))["files"]
    except Missing as exc:
        raise UserError(
            f"there is no model {name} {version}", hint="entityflow model list shows what there is"
        ) from exc
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for file, expected in listing.items():
        data = store.get(key + file)
        if hashlib.sha256(data).hexdigest() != expected["sha256"]:
            raise UserError(f"{key}{file} is not what its manifest says: {len(data)} bytes", hint="publish it anew")
        part = target / f".{file}.part"
        part.write_bytes(data)
        written.append(part.replace(target / file))
    return written


def _alias_key(name: str, which: str) -> str:
    return f"{ROOT}{name}/aliases/{which}.json"


def _published(manifest: Mapping[str, Any]) -> Published:
    return Published(*(manifest[field] for field in ("name", "version", "metrics", "promoted", "why", "at")))
