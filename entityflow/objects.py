"""The object store: one client for SeaweedFS, MinIO and S3, that retries, never overwrites by accident, and reads back.

Keys are given and returned without the prefix setting; they are made from ids, never taken from a record.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import S3Error
from minio.sse import Sse
from tenacity import Retrying, retry_if_exception, stop_after_delay

from entityflow.errors import Retryable, UserError
from entityflow.object_trouble import (
    EXISTS,
    TROUBLE,
    ObjectDamaged,
    ObjectMissing,
    full_jitter,
    is_answered,
    may_pass,
    translated,
)
from entityflow.settings import Settings

__all__ = ["ObjectDamaged", "ObjectMissing", "Objects", "Source", "StoredObject"]

BUDGET_SECONDS = 60.0
CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
CHUNK = 64 << 10  # what a broken answer may cost: the client gives no part of one
SINGLE_PUT_LIMIT = 5 << 30
PART_BYTES = 8 << 20  # held in memory, one at a time; 10,000 parts are the most that S3 takes
READ_BACK_BYTES = 1 << 20  # up to here every byte is read back: manifests are
DIGEST = "sha256"  # user metadata: tells one's own object from another's
MAX_KEY_BYTES = 1024
_BAD_KEY = re.compile(r"^/|//|/$|(^|/)\.{1,2}(/|$)|[\x00-\x1f\x7f]")

T = TypeVar("T")
Source = bytes | Path


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    size: int
    etag: str
    modified: datetime


class _IfAbsent(Sse):
    """Sends `If-None-Match: *` with a PUT: minio-py has no argument for it; this is its extension point for headers."""

    def headers(self) -> dict[str, str]:
        return {"If-None-Match": "*"}

    def tls_required(self) -> bool:
        return False

    def copy_headers(self) -> dict[str, str]:
        return {}


class Objects:
    """Objects of one bucket under the prefix of the settings.

    Transport trouble, throttling and server errors are retried with full jitter within `budget_seconds`, then raise
    Retryable. Wrong credentials, a missing bucket and a wrong clock raise UserError at once.
    """

    def __init__(
        self,
        settings: Settings,
        budget_seconds: float = BUDGET_SECONDS,
        read_seconds: float = READ_SECONDS,
        part_bytes: int = PART_BYTES,
    ) -> None:
        endpoint = urlsplit(settings.s3_endpoint)
        if endpoint.scheme not in ("http", "https") or not endpoint.netloc:
            raise UserError(
                f"ENTITYFLOW_S3_ENDPOINT={settings.s3_endpoint!r} is no address",
                hint="for example http://127.0.0.1:9000",
            )
        self.bucket = settings.s3_bucket
        self._endpoint = settings.s3_endpoint
        self._prefix = f"{settings.prefix}/" if settings.prefix else ""
        self._budget, self._part_bytes = budget_seconds, part_bytes
        self._has_worked = False
        self._client = Minio(
            endpoint.netloc,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
            secure=endpoint.scheme == "https",
            region="us-east-1",
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds), retries=False, maxsize=16
            ),
        )

    # --- writing ---

    def ensure_bucket(self) -> None:
        def make() -> None:
            if not self._client.bucket_exists(self.bucket):
                self._client.make_bucket(self.bucket)

        self._try(make)

    def put(self, key: str, data: Source) -> None:
        """Write or overwrite. Big files go in parts, and appear when the last has arrived.

        Raises ObjectDamaged where something else is read back.
        """
        measured = _Measured.of(data)
        self._try(lambda: self._put(key, data, measured, None, self._part_bytes))
        self._read_back(key, measured)

    def put_if_absent(self, key: str, data: Source) -> bool:
        """Write unless there is an object under the key. False: there is one, and it is not these bytes' own PUT.

        A PUT that was carried out although its answer was lost is met by its own retry: the same bytes are ours then.
        """
        measured = _Measured.of(data)
        if measured.size > SINGLE_PUT_LIMIT:  # in parts the condition would be checked at the first, not at the last
            raise ValueError(f"{key}: {measured.size} bytes are too many for one conditional PUT")
        unanswered = False

        def write() -> bool:
            nonlocal unanswered
            try:
                self._put(key, data, measured, _IfAbsent(), max(measured.size, 5 << 20))
            except TROUBLE as exc:
                if isinstance(exc, S3Error) and exc.code in EXISTS:
                    return unanswered and self._holds(key, measured)
                unanswered |= not is_answered(exc)
                raise
            return True

        written = self._try(write)
        if written:
            self._read_back(key, measured)
        return written

    def _put(self, key: str, data: Source, measured: _Measured, condition: Sse | None, part_bytes: int) -> None:
        with _opened(data) as stream:
            self._client.put_object(
                self.bucket,
                self._full(key),
                stream,
                measured.size,
                part_size=part_bytes,
                num_parallel_uploads=1,
                sse=condition,
                metadata={DIGEST: measured.sha256},
            )

    def _read_back(self, key: str, measured: _Measured) -> None:
        if not self._holds(key, measured):
            raise ObjectDamaged(f"{key}: {measured.size} bytes were written, and something else is there")

    def _holds(self, key: str, measured: _Measured) -> bool:
        """Whether these very bytes lie under the key: small ones are read, of others size and noted digest count."""
        found = self._stat(key)
        if found is None or found.size != measured.size:
            return False
        noted = (found.metadata or {}).get(f"x-amz-meta-{DIGEST}")
        if noted and measured.size > READ_BACK_BYTES:
            return bool(noted == measured.sha256)
        return hashlib.sha256(self.get(key)).hexdigest() == measured.sha256

    def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""
        self._try(lambda: self._client.remove_object(self.bucket, self._full(key)))

    # --- reading ---

    def get(self, key: str) -> bytes:
        return self._read(key, 0, 0)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer where the object ends."""
        return self._read(key, offset, length) if length else b""

    def _read(self, key: str, offset: int, length: int) -> bytes:
        def read() -> bytes:
            response = self._client.get_object(self.bucket, self._full(key), offset, length)
            try:
                return response.read()
            finally:
                response.close()
                response.release_conn()

        return self._try(read, key)

    def download(self, key: str, path: Path) -> None:
        """Into a file, which appears when all bytes are there. What broke off goes on where it was.

        The budget counts from the last bytes that came: a big object may take as long as it takes.
        """
        scratch = path.with_name(path.name + ".part")
        try:
            with scratch.open("wb") as file:
                size = self._require(key).size
                while file.tell() < size:
                    self._fetch_more(key, file)
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)

    def _fetch_more(self, key: str, file: BinaryIO) -> None:
        before = file.tell()

        def fetch() -> None:
            response = self._client.get_object(self.bucket, self._full(key), file.tell())
            try:
                for chunk in response.stream(CHUNK):
                    file.write(chunk)
            finally:
                response.close()
                response.release_conn()

        try:
            self._try(fetch, key)
        except Retryable:
            if file.tell() == before:
                raise

    def size(self, key: str) -> int | None:
        """Bytes of an object; none where there is no such key."""
        found = self._stat(key)
        return None if found is None else cast(int, found.size)

    def _require(self, key: str) -> Any:
        found = self._stat(key)
        if found is None:
            raise ObjectMissing(f"no object {key} in bucket {self.bucket}")
        return found

    def _stat(self, key: str) -> Any:
        try:
            return self._try(lambda: self._client.stat_object(self.bucket, self._full(key)), key)
        except ObjectMissing:
            return None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """All objects under a prefix, in the order of their keys."""

        def names() -> list[StoredObject]:
            found = self._client.list_objects(self.bucket, self._prefix + prefix, recursive=True)
            return [
                StoredObject(item.object_name.removeprefix(self._prefix), item.size, item.etag, item.last_modified)
                for item in found
                if not item.is_dir
            ]

        yield from self._try(names)

    # --- keys and tries ---

    def _full(self, key: str) -> str:
        """Raises ValueError for a key that stores understand differently, or that leads out of the prefix."""
        if not key or len(key.encode()) > MAX_KEY_BYTES or _BAD_KEY.search(key):
            raise ValueError(f"{key[:100]!r} is no key: it is empty, too long, or not the same path in every store")
        return self._prefix + key

    def _try(self, call: Callable[[], T], key: str = "") -> T:
        try:
            for attempt in Retrying(
                retry=retry_if_exception(lambda error: may_pass(error, self._has_worked)),
                stop=stop_after_delay(self._budget),
                wait=full_jitter,
                reraise=True,
            ):
                with attempt:
                    done = call()
                    self._has_worked = True
                    return done
        except TROUBLE as exc:
            error = translated(exc, self._endpoint, self.bucket, key)
            if error is exc:
                raise
            raise error from exc
        raise AssertionError("the loop above returns or raises")


@dataclass(frozen=True, slots=True)
class _Measured:
    size: int
    sha256: str

    @classmethod
    def of(cls, data: Source) -> _Measured:
        with _opened(data) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return cls(stream.seek(0, io.SEEK_END), digest)


def _opened(data: Source) -> io.BytesIO | io.BufferedReader:
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
