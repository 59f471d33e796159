"""What can go wrong between us and an object store: what passes when it is tried again, and what a person must mend."""

from __future__ import annotations

import errno
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.etree.ElementTree import ParseError

import urllib3
from minio.error import MinioException, S3Error
from tenacity import RetryCallState

from entityflow.errors import EntityflowError, Retryable, UserError

BACKOFF_SECONDS = (0.1, 5.0)
NO_SUCH = {"NoSuchKey", "NoSuchObject", "NoSuchVersion"}
EXISTS = {"PreconditionFailed"}
# what a person must mend; more tries would only repeat it
REFUSED = {
    "AccessDenied": "check ENTITYFLOW_S3_ACCESS_KEY and ENTITYFLOW_S3_SECRET_KEY, and what the key may do",
    "SignatureDoesNotMatch": "check ENTITYFLOW_S3_SECRET_KEY",
    "InvalidAccessKeyId": "check ENTITYFLOW_S3_ACCESS_KEY",
    "NoSuchBucket": "entityflow up makes it, or set ENTITYFLOW_S3_BUCKET",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: start a time service",
    "InvalidBucketName": "set ENTITYFLOW_S3_BUCKET to a valid name",
    "NotImplemented": "the store cannot do what is asked of it: entityflow doctor tries a conditional PUT",
    "MethodNotAllowed": "is ENTITYFLOW_S3_ENDPOINT the address of an S3 store?",
}
# no answer, half an answer, or one that is no XML: nobody knows whether the request was carried out
UNANSWERED = (urllib3.exceptions.HTTPError, MinioException, ParseError)
TROUBLE = (*UNANSWERED, OSError)


class ObjectMissing(EntityflowError):
    """There is no object under this key."""


class ObjectDamaged(EntityflowError):
    """What was read back is not what was written."""


def may_pass(error: BaseException, has_worked: bool) -> bool:
    """Whether the same call may succeed later.

    has_worked: this client was served before. Then a refusal may be that of a store which has just been started and
    has not read its keys and buckets yet.
    """
    if isinstance(error, S3Error):
        refused = error.code in REFUSED and not has_worked
        return not refused and error.code not in NO_SUCH and error.code not in EXISTS
    return isinstance(error, TROUBLE) and not is_local(error)


def is_answered(error: BaseException) -> bool:
    """Whether the store said that it did not do it: then no PUT of ours lies there without our knowing."""
    if not isinstance(error, S3Error):
        return False
    return error.response is not None and error.response.status < 500


def is_local(error: BaseException) -> bool:
    """A file or a disk of our own: no matter of the store."""
    return isinstance(error, OSError) and (error.filename is not None or error.errno == errno.ENOSPC)


def translated(error: Exception, store: str, bucket: str, key: str) -> Exception:
    """The error in our words: ObjectMissing, UserError, Retryable; the error itself where disk or file are at fault."""
    if isinstance(error, S3Error):
        if error.code in NO_SUCH:
            return ObjectMissing(f"no object {key or error.object_name} in bucket {bucket}")
        if error.code in REFUSED:
            said = f"S3 at {store}, bucket {bucket}: {error.code}: {error.message}{_skew(error)}"
            return UserError(said, hint=REFUSED[error.code])
        return Retryable("object-store-away", f"{store}: {error.code}: {error.message}")
    return error if is_local(error) else Retryable("object-store-away", f"{store}: {error}")


def _skew(error: S3Error) -> str:
    """By how much the clocks differ, where that is the trouble."""
    if error.code != "RequestTimeTooSkewed":
        return ""
    try:
        server = parsedate_to_datetime(error.response.headers["Date"])
        return f" (our clock is off by {(datetime.now(UTC) - server).total_seconds():+.0f} s)"
    except (KeyError, TypeError, ValueError):
        return ""


def full_jitter(state: RetryCallState) -> float:
    first, most = BACKOFF_SECONDS
    return random.uniform(0, min(most, first * 2 ** min(state.attempt_number, 10)))
