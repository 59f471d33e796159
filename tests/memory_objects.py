"""The object store's interface over a dict, for tests of what stands on it."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from entityflow.objects import ObjectMissing, StoredObject

EPOCH = datetime.fromtimestamp(0, UTC)


class MemoryObjects:
    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.written: dict[str, datetime] = {}

    def ensure_bucket(self) -> None:
        """There is one bucket."""

    def put(self, key: str, data: bytes | Path) -> None:
        self.content[key] = data if isinstance(data, bytes) else data.read_bytes()
        self.written[key] = datetime.now(UTC)

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        if key in self.content:
            return False
        self.put(key, data)
        return True

    def get(self, key: str) -> bytes:
        try:
            return self.content[key]
        except KeyError as exc:
            raise ObjectMissing(key) from exc

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        return self.get(key)[offset : offset + length]

    def download(self, key: str, path: Path) -> None:
        path.write_bytes(self.get(key))

    def size(self, key: str) -> int | None:
        return len(self.content[key]) if key in self.content else None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        for key in sorted(key for key in self.content if key.startswith(prefix)):
            etag = hashlib.md5(self.content[key]).hexdigest()
            yield StoredObject(key, len(self.content[key]), etag, self.written.get(key, EPOCH))

    def delete(self, key: str) -> None:
        self.content.pop(key, None)
