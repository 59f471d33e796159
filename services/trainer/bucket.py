"""The deployment's bucket as the trainer's store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from entityflow.objects import ObjectMissing, Objects
from entityflow.settings import Settings
from services.trainer.store import Missing


class Bucket:
    """Keys lie under the deployment's prefix."""

    def __init__(self, settings: Settings) -> None:
        self._objects = Objects(settings)
        prefix = f"{settings.prefix}/" if settings.prefix else ""
        self._root = f"s3://{settings.s3_bucket}/{prefix}"

    def get(self, key: str) -> bytes:
        try:
            return self._objects.get(key)
        except ObjectMissing as exc:
            raise Missing(key) from exc

    def download(self, key: str, path: Path) -> None:
        try:
            self._objects.download(key, path)
        except ObjectMissing as exc:
            raise Missing(key) from exc

    def put(self, key: str, value: bytes | Path) -> None:
        self._objects.put(key, value)

    def keys(self, prefix: str) -> Iterator[str]:
        return (item.key for item in self._objects.list(prefix))

    def delete(self, key: str) -> None:
        self._objects.delete(key)

    def uri(self, key: str) -> str:
        return self._root + key
