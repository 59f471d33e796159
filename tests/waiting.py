"""Waiting for something to become true, with a deadline: the one way in which tests wait."""

import time
from collections.abc import Callable

DEADLINE_SECONDS = 60.0
LOOK_SECONDS = 0.05


def eventually(is_true: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
    """Returns when `is_true()` is; fails with its last value at the deadline."""
    end = time.monotonic() + seconds
    while not (value := is_true()):
        if time.monotonic() > end:
            raise AssertionError(f"still {value!r} after {seconds} s")
        time.sleep(LOOK_SECONDS)
