"""Hearing SIGTERM and SIGINT in an event loop, however busy it is.

asyncio's own `add_signal_handler` carries signals through the loop's wake-up pipe: while other threads have filled that
pipe (a producer's acknowledgements do), a signal is dropped and the process never stops.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block each signal calls `stop` in the running loop. Only in the main thread."""
    loop = asyncio.get_running_loop()

    def heard(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)

    before = {number: signal.signal(number, heard) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
