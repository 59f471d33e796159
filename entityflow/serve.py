"""`python -m entityflow.serve NAME`: one service as the main process, as supervisors and containers start it.

With `--with-parent` it stops, as on SIGTERM, when its standard input closes: a parent that was killed leaves no orphan.
With `--accept-loss` it goes on where offsets or topics are gone, and counts what was lost.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import threading

from entityflow.errors import UserError

WITH_PARENT = "--with-parent"
M_ARENA_MAX, ARENAS = -8, 2  # mallopt(3)
ACCEPT_LOSS = "--accept-loss"


def main() -> None:
    name, *flags = sys.argv[1:]
    _few_arenas()
    if WITH_PARENT in flags:
        threading.Thread(target=_follow_parent, daemon=True, name="parent").start()
    if ACCEPT_LOSS in flags:
        os.environ["ENTITYFLOW_ACCEPT_LOSS"] = "true"
    try:
        importlib.import_module(f"services.{name}.service").main()
    except UserError as exc:
        print(f"error: {exc}", file=sys.stderr)
        if exc.hint:
            print(f"hint: {exc.hint}", file=sys.stderr)
        sys.exit(exc.exit_code)


def _few_arenas() -> None:
    """One heap a thread keeps what each of them has freed: 60 MB of a sharder's memory (bench/backlog_memory.py)."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it
    if set_option is not None:
        set_option(M_ARENA_MAX, ARENAS)


def _follow_parent() -> None:
    while os.read(0, 1024):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
