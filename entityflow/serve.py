"""`python -m entityflow.serve NAME`: one service as the main process, as supervisors and containers start it.

With `--with-parent` it stops, as on SIGTERM, when its standard input closes: a parent that was killed leaves no orphan.
With `--accept-loss` it goes on where offsets or topics are gone, and counts what was lost.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading

from entityflow.errors import UserError

WITH_PARENT = "--with-parent"
ACCEPT_LOSS = "--accept-loss"


def main() -> None:
    name, *flags = sys.argv[1:]
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


def _follow_parent() -> None:
    while os.read(0, 1024):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
