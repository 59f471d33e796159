"""Errors sorted by what to do about them: reject the record, try it again, tell the user; anything else is a bug."""

from __future__ import annotations


class EntityflowError(Exception):
    """Base of every error that this project raises on purpose."""


class Rejected(EntityflowError):
    """This record can never be processed by our code: it goes to the dead letters. `reason` is a stable word."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Retryable(EntityflowError):
    """Something around us is away for a while: the stage backs off, keeps polling, and tries the record again."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class UserError(EntityflowError):
    """What a person can put right: one line that names the thing, the value and the cure. Exit code 1.

    `hint` is the cure, shown on its own line.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(UserError):
    """A wrong command line, setting or domain file. Exit code 2."""

    exit_code = 2


class CodecError(Rejected):
    """Bytes that are none of our records: foreign, cut, or of a schema that this version does not know."""

    def __init__(self, detail: str) -> None:
        super().__init__("undecodable", detail)


class LossDetected(UserError):
    """Offsets that a group had still to read are gone, or their topic was made anew."""
