"""The stack: its parts, their ports, and `stack.env`, which tells every command where they are."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from entityflow.embedded.cache import writable
from entityflow.embedded.jars import Say
from entityflow.embedded.kafka import KafkaPart
from entityflow.embedded.ports import become_free, free_ports
from entityflow.embedded.processes import ServerProcess
from entityflow.embedded.s3 import S3Part
from entityflow.embedded.sparql import SparqlPart
from entityflow.embedded.webpart import WebPart
from entityflow.errors import UsageError, UserError


class Part(Protocol):
    """One server of the stack. Each of its ports also needs port + `apart` where that is not 0.

    It is killed when it has not ended `stop_seconds` after it was asked to.
    """

    name: ClassVar[str]
    ports: ClassVar[tuple[str, ...]]
    apart: ClassVar[int]
    stop_seconds: ClassVar[float]
    process: ServerProcess

    def __init__(self, folder: Path, ports: dict[str, int]) -> None: ...
    def environment(self) -> dict[str, str]: ...
    def start(self, say: Say) -> None: ...
    def is_ready(self) -> bool: ...


MIN_FREE_BYTES = 512 << 20
CLOSING_SECONDS = 3.0

PARTS: tuple[type[Part], ...] = (KafkaPart, S3Part, SparqlPart, WebPart)

# servers on this machine may be asked, and what failed is tried again while somebody watches
LOCAL_FETCHING = {
    "ENTITYFLOW_FETCHER_ALLOW_LOOPBACK": "true",
    "ENTITYFLOW_FETCHER_BACKOFF_SECONDS": "2",
    "ENTITYFLOW_FETCHER_MAX_BACKOFF_SECONDS": "10",
    "ENTITYFLOW_FETCHER_RETRY_SHORT_SECONDS": "2",
    "ENTITYFLOW_FETCHER_RETRY_MEDIUM_SECONDS": "8",
    "ENTITYFLOW_FETCHER_RETRY_LONG_SECONDS": "30",
    "ENTITYFLOW_FETCHER_MAX_ATTEMPTS": "3",
}


@dataclass(frozen=True)
class PartStatus:
    """`state`: running, stopped, or killed (it ended without `down`)."""

    name: str
    state: str
    pid: int | None
    ports: dict[str, int]


class Stack:
    """Everything under one folder. `up` starts what does not run and may be called at any time; `down` stops all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @property
    def environment_file(self) -> Path:
        return self.folder / "stack.env"

    def up(self, only: Sequence[str] = (), say: Say = lambda line: None) -> dict[str, str]:
        """Start the named parts (none = all) that do not run; returns when each is ready, with the variables to use."""
        for name in only:
            if name not in names():
                raise UsageError(f"the stack has no part {name!r}", hint=f"parts: {', '.join(names())}")
        writable(self.folder)
        self._require_space()
        with self._alone():
            kinds = [kind for kind in PARTS if not only or kind.name in only]
            ports = self._choose_ports(kinds)
            parts = [kind(self.folder, ports[kind.name]) for kind in kinds]
            with ThreadPoolExecutor(len(parts)) as pool:
                for done in [pool.submit(_bring_up, part, say) for part in parts]:
                    done.result()
            return self._write_environment()

    def down(self) -> list[str]:
        """Stop every part; gives the names of those that ran."""
        if not self.folder.is_dir():
            return []
        with self._alone():
            processes = {kind: ServerProcess(kind.name, self.folder) for kind in PARTS}
            ran = [process.name for process in processes.values() if process.state() == "running"]
            with ThreadPoolExecutor(len(PARTS)) as pool:
                for done in [pool.submit(one.stop, kind.stop_seconds) for kind, one in processes.items()]:
                    done.result()
        return ran

    def status(self) -> list[PartStatus]:
        """State, pid and ports of each part; it only looks."""
        ports = self._noted_ports()
        known = {name: ServerProcess(name, self.folder) for name in names()} if self.folder.is_dir() else {}
        return [
            PartStatus(
                name,
                known[name].state() if name in known else "stopped",
                known[name].pid if name in known else None,
                ports.get(name, {}),
            )
            for name in names()
        ]

    def _require_space(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < MIN_FREE_BYTES:
            raise UserError(
                f"only {free >> 20} MiB are free under {self.folder}: the servers want {MIN_FREE_BYTES >> 20} MiB",
                hint="free some disk, or --dir with a folder on another one",
            )

    @property
    def _ports_file(self) -> Path:
        return self.folder / "ports.json"

    def _noted_ports(self) -> dict[str, dict[str, int]]:
        try:
            noted: dict[str, dict[str, int]] = json.loads(self._ports_file.read_text())
        except (OSError, ValueError):
            return {}
        return noted

    def _choose_ports(self, kinds: Sequence[type[Part]]) -> dict[str, dict[str, int]]:
        """Chosen once and kept; chosen again for a part that does not run and whose port somebody else took."""
        ports = self._noted_ports()
        for kind in kinds:
            known = ports.get(kind.name, {})
            runs = ServerProcess(kind.name, self.folder).state() == "running"
            if set(known) != set(kind.ports) or not (runs or become_free(known.values(), CLOSING_SECONDS)):
                ports[kind.name] = dict(zip(kind.ports, free_ports(len(kind.ports), kind.apart), strict=True))
        scratch = self._ports_file.with_suffix(".new")
        scratch.write_text(json.dumps(ports, indent=1))
        scratch.replace(self._ports_file)
        return ports

    def _write_environment(self) -> dict[str, str]:
        values = {"ENTITYFLOW_STACK_DIR": str(self.folder), "ENTITYFLOW_STATE_DIR": str(self.folder / "state")}
        ports = self._noted_ports()
        for kind in PARTS:
            if ServerProcess(kind.name, self.folder).state() != "stopped":
                values |= kind(self.folder, ports[kind.name]).environment()
        values |= LOCAL_FETCHING
        scratch = self.environment_file.with_suffix(".new")
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in values.items())
        scratch.replace(self.environment_file)
        return values

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two commands at once on one stack: the second waits for the first."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def names() -> list[str]:
    return [kind.name for kind in PARTS]


def _bring_up(part: Part, say: Say) -> None:
    if part.process.state() != "running":
        say(f"starting {part.name}")
        part.start(say)
    part.process.await_ready(part.is_ready)
