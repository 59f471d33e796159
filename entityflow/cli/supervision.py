"""Services as child processes: started, watched, restarted after a crash, stopped in the order of the line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from entityflow.serve import WITH_PARENT
from entityflow.signals import stop_on_signals

FIRST_RESTART_SECONDS = 1.0
LONGEST_RESTART_SECONDS = 30.0
CRASHES_IN_A_ROW = 5
STEADY_SECONDS = 60.0  # a child that ran this long has not crashed in a row
STOP_SECONDS = 40.0
WRONG_USE = 2
LINE_BYTES = 1 << 20
LINE_SECONDS = 1.0
HEALTH = re.compile(r"event=service_started.*\bhealth=(\S+)")

Say = Callable[[str], None]


class Throttle:
    """Lets one line a second through for each service, and every error; the next line tells how many it held back.

    `quiet`: errors only.
    """

    def __init__(self, say: Say, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._quiet, self._clock = say, quiet, clock
        self._due: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def line(self, service: str, text: str) -> None:
        now, error = self._clock(), _is_error(text)
        if self._quiet and not error:
            return
        if now < self._due.get(service, 0.0) and not error:
            self._held[service] = self._held.get(service, 0) + 1
            return
        self._due[service] = now + LINE_SECONDS
        held = self._held.pop(service, 0)
        self._say(f"{service} | {text}" + (f" (+{held} lines)" if held else ""))


def _is_error(text: str) -> bool:
    return "level=error" in text or text.startswith(("error:", "hint:", "Traceback"))


@dataclass
class Child:
    """One service and its process."""

    name: str
    environment: Mapping[str, str]
    process: asyncio.subprocess.Process | None = None
    crashes: int = 0
    code: int | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def signal(self, number: int) -> None:
        """Tell it to stop; SIGKILL takes what it started along."""
        self.stopping.set()
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)


class Supervisor:
    """Runs services until `stop`. Full logs lie in `directory`/logs/NAME.log, health addresses in run/services.json."""

    def __init__(self, directory: Path, say: Say, quiet: bool = False) -> None:
        self._logs, self._ports = directory / "logs", directory / "run" / "services.json"
        self._throttle = Throttle(say, quiet)
        self._say = say
        self._children: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.addresses: dict[str, str] = {}
        self.gave_up = asyncio.Event()

    def start(self, names: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        for folder in (self._logs, self._ports.parent):
            folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            child = Child(name, {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})})
            self._children[name] = child
            self._tasks[name] = asyncio.create_task(self._watch(child), name=f"watch-{name}")

    async def finish(self, name: str) -> int:
        """Wait until a service that ends by itself has ended; its exit code."""
        await self._children[name].ended.wait()
        return self._children[name].code or 0

    async def stop(self, names: Sequence[str] | None = None) -> None:
        """SIGTERM in the order of the line, then wait; what does not end within its budget is killed."""
        chosen = [child for name, child in self._children.items() if names is None or name in names]
        for child in chosen:
            child.signal(signal.SIGTERM)
        await asyncio.gather(*(self._await_end(child) for child in chosen))

    async def _await_end(self, child: Child) -> None:
        try:
            await asyncio.wait_for(child.ended.wait(), STOP_SECONDS)
        except TimeoutError:
            self._say(
                f"{child.name} | did not stop within {STOP_SECONDS:.0f} s: killed; nothing unfinished is committed"
            )
            child.signal(signal.SIGKILL)
            await child.ended.wait()

    def kill(self) -> None:
        """All at once: safe, since nothing unfinished is committed."""
        for child in self._children.values():
            child.signal(signal.SIGKILL)

    @property
    def code(self) -> int:
        """The worst exit code of a service that was given up."""
        return max((child.code or 0 for child in self._children.values() if child.code in (1, WRONG_USE)), default=0)

    async def _watch(self, child: Child) -> None:
        try:
            while True:
                begun = time.monotonic()
                child.code = await self._run(child)
                if self._over(child, time.monotonic() - begun):
                    return
                wait = min(LONGEST_RESTART_SECONDS, FIRST_RESTART_SECONDS * 2 ** (child.crashes - 1))
                self._say(f"{child.name} | ended with {child.code}; starts again in {wait:.0f} s")
                if await _within(child.stopping, wait):
                    return
        finally:
            child.ended.set()

    def _over(self, child: Child, seconds: float) -> bool:
        if child.stopping.is_set() or child.code == 0:
            return True
        child.crashes = 1 if seconds > STEADY_SECONDS else child.crashes + 1
        if child.code == WRONG_USE or child.crashes >= CRASHES_IN_A_ROW:
            self._say(f"{child.name} | ended with {child.code} and is given up: {self._log(child)}")
            self.gave_up.set()
            return True
        return False

    async def _run(self, child: Child) -> int:
        child.process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "entityflow.serve",
            child.name,
            WITH_PARENT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(child.environment),
            limit=LINE_BYTES,
            start_new_session=True,  # Ctrl-C goes to us, and we stop it in order
        )
        if child.stopping.is_set():  # while it started
            child.signal(signal.SIGTERM)
        assert process.stdout is not None
        with self._log(child).open("ab") as log:
            async for raw in process.stdout:
                log.write(raw)
                log.flush()
                self._heard(child.name, raw.decode("utf-8", "replace").rstrip())
        return await process.wait()

    def _log(self, child: Child) -> Path:
        return self._logs / f"{child.name}.log"

    def _heard(self, name: str, text: str) -> None:
        if found := HEALTH.search(text):
            self.addresses[name] = found[1]
            self._ports.write_text(json.dumps(self.addresses, indent=2, sort_keys=True))
        if text:
            self._throttle.line(name, text)


@contextmanager
def stop_when_asked(supervisor: Supervisor, say: Say) -> Iterator[asyncio.Event]:
    """An event that the first SIGINT or SIGTERM sets; the second kills every service at once."""
    asked = asyncio.Event()

    def stop() -> None:
        if asked.is_set():
            say("stopping now")
            supervisor.kill()
            return
        asked.set()
        say("stopping: each service finishes what it holds; again to stop now")

    with stop_on_signals(stop):
        yield asked


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set before the time was over."""
    try:
        return await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
