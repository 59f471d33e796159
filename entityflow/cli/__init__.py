"""The command line: one file a command group; a command that belongs to one service lives with that service.

stdout is data, stderr the rest. Exit 0, 1 (something a person can put right), 2 (wrong use), 130 (Ctrl-C).
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

TERMINATED = 128 + signal.SIGTERM
INTERRUPTED = 128 + signal.SIGINT


def main(args: list[str] | None = None) -> NoReturn:
    """Run one command and exit with its code."""
    words = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in words
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(_run([word for word in words if word != "--debug"] or ["--help"], debug))


def _run(words: list[str], debug: bool) -> int:
    from typer import Abort, TyperException

    from entityflow.cli.commands import application
    from entityflow.cli.environment import load_stack, stack_dir
    from entityflow.errors import UserError

    load_stack(stack_dir(words))
    try:
        code = application()(words, prog_name="entityflow", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except UserError as exc:
        return _fail(exc, debug, str(exc), exc.hint, exc.exit_code)
    except TyperException as exc:
        return _fail(exc, debug, exc.format_message(), _usage_hint(exc), exc.exit_code)
    except (KeyboardInterrupt, Abort):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        return _fail(exc, debug, f"{where}{exc.strerror or exc}", "is the disk full, or the folder not yours?", 1)
    except Exception as exc:  # noqa: BLE001 - the last border: a person sees one line, --debug the rest
        return _fail(exc, debug, f"{type(exc).__name__}: {exc}", "this is a bug; --debug shows where", 1)


def _fail(error: BaseException, debug: bool, message: str, hint: str | None, code: int) -> int:
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if message:
        print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return code


def _usage_hint(error: Exception) -> str | None:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context is not None and str(error) else None


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)
