"""How a run in the foreground is asked to stop: SIGTERM or Ctrl-C, on the leader; the others stop when it does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from services.trainer.ranks import Ranks

NUMBERS = (signal.SIGTERM, signal.SIGINT)


class Stop(threading.Event):
    """Set by the first signal; `code` is what the process then exits with."""

    code = 0

    def by_signal(self, number: int, _frame: FrameType | None) -> None:
        self.code = 130 if number == signal.SIGINT else 0
        self.set()
        for again in NUMBERS:  # the second one ends the process at once; the last checkpoint stays
            signal.signal(again, signal.SIG_DFL)


@contextmanager
def stop_on_signals(ranks: Ranks) -> Iterator[Stop]:
    """In the main thread only."""
    stop = Stop()
    before = [signal.signal(number, stop.by_signal if ranks.leads else signal.SIG_IGN) for number in NUMBERS]
    try:
        yield stop
    finally:
        for number, handler in zip(NUMBERS, before, strict=True):
            signal.signal(number, handler)
