"""Services run as part of one command: until everything is through and sealed, or until one has ended by itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from entityflow.cli.output import say
from entityflow.cli.supervision import Supervisor, stop_when_asked
from entityflow.cli.wait import wait_and_seal
from entityflow.errors import UserError
from entityflow.progress import Reader
from entityflow.settings import Settings

T = TypeVar("T")


def run_through(
    settings: Settings, names: Sequence[str], directory: Path, timeout: float | None = None
) -> dict[Reader, int]:
    """Run services until all that lies on the broker has run through and is sealed; returns what is left at time-out.

    Raises UserError where a service is given up, KeyboardInterrupt after a stop that was asked for.
    """
    interrupted = threading.Event()

    def sleep(seconds: float) -> None:
        if interrupted.wait(seconds):
            raise _Interrupted

    async def work(_supervisor: Supervisor) -> dict[Reader, int]:
        try:
            return await asyncio.to_thread(wait_and_seal, settings, timeout, sleep)
        finally:
            interrupted.set()

    return asyncio.run(_with_services(names, directory, {}, work, interrupted.set))


def run_until_idle(name: str, directory: Path, environment: Mapping[str, str]) -> None:
    """Run one service that ends by itself when it has nothing left. Raises UserError where it is given up."""

    async def work(supervisor: Supervisor) -> int:
        return await supervisor.finish(name)

    asyncio.run(_with_services([name], directory, environment, work, lambda: None))


class _Interrupted(Exception):
    """The work in the thread was told to end."""


async def _with_services(
    names: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    work: Callable[[Supervisor], Awaitable[T]],
    interrupt: Callable[[], None],
) -> T:
    supervisor = Supervisor(directory, say, quiet=True)
    with stop_when_asked(supervisor, say) as asked:
        supervisor.start(names, environment)
        working = asyncio.ensure_future(work(supervisor))
        ends = [asyncio.create_task(event.wait()) for event in (asked, supervisor.gave_up)]
        try:
            await asyncio.wait([working, *ends], return_when=asyncio.FIRST_COMPLETED)
        finally:
            interrupt()
            for end in ends:
                end.cancel()
            await supervisor.stop()
            await asyncio.wait([working])
        if asked.is_set():
            raise KeyboardInterrupt
        if supervisor.gave_up.is_set():
            raise UserError(
                "a service ended again and again", hint=f"its last lines are above; all of them in {directory / 'logs'}"
            )
        return working.result()
