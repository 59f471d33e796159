"""The object store: one client for SeaweedFS, MinIO and S3, that retries, never overwrites by accident, and reads back.

Keys are given and returned without the prefix setting; they are made from ids, never taken from a record.
"""

from __future__ import annotations

import errno
import hashlib
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error, ServerError
from minio.sse import Sse
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay

from entityflow.errors import EntityflowError, Retryable, UserError
from entityflow.settings import Settings

BUDGET_SECONDS = 60.0
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
BACKOFF_SECONDS = (0.1, 5.0)
CHUNK = 1 << 20
SINGLE_PUT_LIMIT = 5 << 30
MULTIPART_BYTES = 64 << 20
DIGEST = "sha256"  # user metadata: tells one's own object from another's

NO_SUCH = {"NoSuchKey", "NoSuchObject", "NoSuchVersion"}
# what a person must mend; more tries would only repeat it
REFUSED = {
    "AccessDenied": "check ENTITYFLOW_S3_ACCESS_KEY and ENTITYFLOW_S3_SECRET_KEY, and what the key may do",
    "SignatureDoesNotMatch": "check ENTITYFLOW_S3_SECRET_KEY",
    "InvalidAccessKeyId": "check ENTITYFLOW_S3_ACCESS_KEY",
    "NoSuchBucket": "entityflow up makes it, or set ENTITYFLOW_S3_BUCKET",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: start a time service",
    "InvalidBucketName": "set ENTITYFLOW_S3_BUCKET to a valid name",
}
EXISTS = {"PreconditionFailed", "ConditionalRequestConflict"}

T = TypeVar("T")
Source = bytes | Path


class ObjectMissing(EntityflowError):
    """There is no object under this key."""


class ObjectDamaged(EntityflowError):
    """What was read back is not what was written."""


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

    def __init__(self, settings: Settings, budget_seconds: float = BUDGET_SECONDS) -> None:
        endpoint = urlsplit(settings.s3_endpoint)
        if endpoint.scheme not in ("http", "https") or not endpoint.netloc:
            raise UserError(
                f"ENTITYFLOW_S3_ENDPOINT={settings.s3_endpoint!r} is no address",
                hint="for example http://127.0.0.1:9000",
            )
        self.bucket = settings.s3_bucket
        self._endpoint = settings.s3_endpoint
        self._prefix = f"{settings.prefix}/" if settings.prefix else ""
        self._budget = budget_seconds
        self._client = Minio(
            endpoint.netloc,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
            secure=endpoint.scheme == "https",
            region="us-east-1",
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), retries=False, maxsize=16
            ),
        )

    # --- writing ---

    def ensure_bucket(self) -> None:
        def make() -> None:
            if not self._client.bucket_exists(self.bucket):
                self._client.make_bucket(self.bucket)

        self._try(make)

    def put(self, key: str, data: Source) -> None:
        """Write or overwrite. Big files go in parts, and appear when the last has arrived."""
        size, digest = _measure(data)
        self._try(lambda: self._put(key, data, size, digest, None, MULTIPART_BYTES))
        self._read_back(key, size)

    def put_if_absent(self, key: str, data: Source) -> bool:
        """Write unless there is an object under the key. False: there is one, and it is not these bytes' own PUT.

        A PUT that arrived although its answer was lost is met by its own retry: an object with the same digest is ours.
        """
        size, digest = _measure(data)
        if size > SINGLE_PUT_LIMIT:  # in parts the condition would be checked at the first, not at the last
            raise ValueError(f"{key}: {size} bytes are too many for one conditional PUT")
        lost_answers = 0

        def write() -> bool:
            nonlocal lost_answers
            try:
                self._put(key, data, size, digest, _IfAbsent(), max(size, 5 << 20))
            except S3Error as exc:
                if exc.code in EXISTS:
                    return lost_answers > 0 and self._digest(key) == digest
                raise
            except (urllib3.exceptions.HTTPError, MinioException):
                lost_answers += 1
                raise
            return True

        written = self._try(write)
        if written:
            self._read_back(key, size)
        return written

    def _put(self, key: str, data: Source, size: int, digest: str, condition: Sse | None, part_size: int) -> None:
        with _opened(data) as stream:
            self._client.put_object(
                self.bucket,
                self._prefix + key,
                stream,
                size,
                part_size=part_size,
                sse=condition,
                metadata={DIGEST: digest},
            )

    def _read_back(self, key: str, size: int) -> None:
        found = self.size(key)
        if found != size:
            raise ObjectDamaged(f"{key} was written with {size} bytes and is there with {found}")

    def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""
        self._try(lambda: self._client.remove_object(self.bucket, self._prefix + key))

    # --- reading ---

    def get(self, key: str) -> bytes:
        return self._read(key, 0, 0)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer where the object ends."""
        return self._read(key, offset, length) if length else b""

    def _read(self, key: str, offset: int, length: int) -> bytes:
        def read() -> bytes:
            response = self._client.get_object(self.bucket, self._prefix + key, offset, length)
            try:
                return response.read()
            finally:
                response.close()
                response.release_conn()

        return self._try(read, key)

    def download(self, key: str, path: Path) -> None:
        """Into a file, which appears when all bytes are there."""
        scratch = path.with_name(path.name + ".part")

        def fetch() -> None:
            response = self._client.get_object(self.bucket, self._prefix + key)
            try:
                with scratch.open("wb") as file:
                    for chunk in response.stream(CHUNK):
                        file.write(chunk)
            finally:
                response.close()
                response.release_conn()

        try:
            self._try(fetch, key)
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)

    def size(self, key: str) -> int | None:
        """Bytes of an object; none where there is no such key."""
        found = self._stat(key)
        return None if found is None else cast(int, found.size)

    def _digest(self, key: str) -> str:
        """SHA-256 of an object: from its metadata, else from its bytes."""
        found = self._stat(key)
        noted = (found.metadata or {}).get(f"x-amz-meta-{DIGEST}") if found else None
        return cast(str, noted) if noted else hashlib.sha256(self.get(key)).hexdigest()

    def _stat(self, key: str) -> Any:
        try:
            return self._try(lambda: self._client.stat_object(self.bucket, self._prefix + key), key)
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

    # --- trying again ---

    def _try(self, call: Callable[[], T], key: str = "") -> T:
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_may_pass),
                stop=stop_after_delay(self._budget),
                wait=_full_jitter,
                reraise=True,
            ):
                with attempt:
                    return call()
        except S3Error as exc:
            if exc.code in NO_SUCH:
                raise ObjectMissing(f"no object {key or exc.object_name} in bucket {self.bucket}") from exc
            if exc.code in REFUSED:
                raise UserError(
                    f"S3 at {self._endpoint}, bucket {self.bucket}: {exc.code}: {exc.message}{_skew(exc)}",
                    hint=REFUSED[exc.code],
                ) from exc
            raise Retryable("object-store-away", f"{self._endpoint}: {exc.code}: {exc.message}") from exc
        except (urllib3.exceptions.HTTPError, MinioException, OSError) as exc:
            if _is_local(exc):
                raise
            raise Retryable("object-store-away", f"{self._endpoint}: {exc}") from exc
        raise AssertionError("the loop above returns or raises")


def _may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed later."""
    if isinstance(error, S3Error):
        return error.code not in NO_SUCH and error.code not in REFUSED and error.code not in EXISTS
    if isinstance(error, (urllib3.exceptions.HTTPError, ServerError, MinioException)):
        return True
    return isinstance(error, OSError) and not _is_local(error)


def _is_local(error: BaseException) -> bool:
    """A file or a disk of our own: no matter of the store."""
    return isinstance(error, OSError) and (error.filename is not None or error.errno == errno.ENOSPC)


def _skew(error: S3Error) -> str:
    """By how much the clocks differ, where that is the trouble."""
    server = parsedate_to_datetime(error.response.headers["Date"]) if "Date" in error.response.headers else None
    if error.code != "RequestTimeTooSkewed" or server is None:
        return ""
    return f" (our clock is off by {(datetime.now(UTC) - server).total_seconds():+.0f} s)"


def _full_jitter(state: RetryCallState) -> float:
    first, most = BACKOFF_SECONDS
    return random.uniform(0, min(most, first * 2 ** min(state.attempt_number, 10)))


def _measure(data: Source) -> tuple[int, str]:
    if isinstance(data, bytes):
        return len(data), hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256()
    with data.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return data.stat().st_size, digest.hexdigest()


def _opened(data: Source) -> BinaryIO:
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
