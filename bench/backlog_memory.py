"""Memory of services that wake up before a backlog of pictures, on a real broker.

    python bench/backlog_memory.py [--messages 20000] [--bytes 40000] [--seconds 60]

Three cases: the filter while the index is away, so that it may take in as much as it ever does; filter and index at
work; the sharder. Prints the peak of resident memory of each process, children included, and what it had finished by
then. The target is under 400 MB for each.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from PIL import Image as Picture

from entityflow.admin import Admin, create_topics
from entityflow.embedded.supervisor import Stack
from entityflow.objects import Objects
from entityflow.records import (
    FilteredPair,
    Hashes,
    Image,
    Origin,
    Original,
    PairSource,
    PairText,
    Permission,
    Url,
)
from entityflow.settings import Settings, load_settings
from entityflow.stage import Send, produce_all

UNLIKE = 64  # different pictures; ids are all different
ORIGIN = Origin(topic_uuid="bench", partition=0, offset=0)
ALLOWED = Permission(decision="allowed")
TARGET_MB = 400


def pictures(size: int) -> list[bytes]:
    """JPEGs of noise, filled up to `size` bytes behind their end."""

    def one(number: int) -> bytes:
        out = io.BytesIO()
        noise = random.Random(number).randbytes(24 * 18 * 3)
        Picture.frombytes("RGB", (24, 18), noise).resize((384, 288)).save(out, "JPEG", quality=90)
        return out.getvalue().ljust(size, b"\0")

    return [one(number) for number in range(UNLIKE)]


def identity(number: int) -> str:
    return hashlib.sha256(b"backlog %d" % number).hexdigest()


def images(count: int, payloads: list[bytes]) -> Iterator[Send]:
    for number in range(count):
        payload = payloads[number % UNLIKE]
        yield Send(
            "image",
            Image(
                image_id=identity(number),
                payload=payload,
                format="JPEG",
                width=384,
                height=288,
                original=Original(width=384, height=288, bytes=len(payload), format="JPEG"),
                permission=ALLOWED,
                candidate=Url(
                    candidate_id=f"{number:032x}",
                    url_id=f"{number:032x}",
                    address=f"http://pictures.example/{number}.jpg",
                    provider="bench",
                    alt_text=f"a wide view of the hills in the evening, taken for the {number}th time",
                ),
                url_origin=ORIGIN,
            ),
        )


def pairs(count: int, payloads: list[bytes]) -> Iterator[Send]:
    for number in range(count):
        payload, candidate = payloads[number % UNLIKE], f"{number:032x}"
        yield Send(
            "filtered-pair",
            FilteredPair(
                image_id=identity(number),
                payload=payload,
                format="JPEG",
                width=384,
                height=288,
                original=Original(width=384, height=288, bytes=len(payload), format="JPEG"),
                texts=(PairText(text=f"view {number} of the hills", kind="alt", source=candidate),),
                sources=(PairSource(candidate_id=candidate, url=f"http://pictures.example/{number}.jpg"),),
                hashes=Hashes(phash="0" * 16, dhash="1" * 16, version=1),
                origin=ORIGIN,
                permission=ALLOWED,
            ),
        )


@dataclass
class Watched:
    """A service and the most memory that it and its children took."""

    service: str
    process: subprocess.Popen[bytes]
    peak_mb: float = 0.0

    def look(self) -> None:
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        self.peak_mb = max(self.peak_mb, sum(one.memory_info().rss for one in family) / 1e6)


def watch(settings: Settings, services: list[str], topic: str, count: int, seconds: float) -> None:
    """Run them until the topic is finished or the time is over; print their peaks."""
    running = [start(settings, service) for service in services]
    admin, begun, finished = Admin(settings), time.monotonic(), 0
    reader = services[0]
    while finished < count and time.monotonic() - begun < seconds:
        for one in running:
            one.look()
        finished = sum(admin.committed(reader, topic).values())
        time.sleep(0.2)
    for one in running:
        one.process.send_signal(signal.SIGTERM)
    for one in running:
        one.process.wait(60)
    together = " and ".join(services)
    for one in running:
        verdict = "ok" if one.peak_mb < TARGET_MB else "OVER"
        print(f"{together:18} {one.service:8} peak {one.peak_mb:6.0f} MB ({verdict}), {finished} of {count} finished")


def start(settings: Settings, service: str) -> Watched:
    own = {
        f"ENTITYFLOW_{name.upper()}": str(getattr(settings, name))
        for name in ("kafka_bootstrap", "s3_endpoint", "s3_access_key", "s3_bucket", "prefix", "state_dir")
    }
    secret = {"ENTITYFLOW_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value()}
    command = [sys.executable, "-m", "entityflow.serve", service]
    environment = {**os.environ, **own, **secret, "ENTITYFLOW_SMALL_TOPICS": "true"}
    return Watched(service, subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))


def fresh(values: dict[str, str], folder: Path) -> Settings:
    """Topics and a state folder of their own on the running stack."""
    named = {name.removeprefix("ENTITYFLOW_").lower(): value for name, value in values.items()}
    prefix = f"b{uuid.uuid4().hex[:8]}"
    settings: Settings = load_settings(**{**named, "prefix": prefix, "state_dir": folder / prefix})
    create_topics(settings)
    Objects(settings).ensure_bucket()
    return settings


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--messages", type=int, default=20_000)
    words.add_argument("--bytes", type=int, default=40_000, help="of a picture")
    words.add_argument("--seconds", type=float, default=60.0, help="at most, for each case")
    given = words.parse_args()
    payloads = pictures(given.bytes)
    with tempfile.TemporaryDirectory() as name:
        stack = Stack(Path(name) / "stack")
        try:
            values = stack.up(only=("kafka", "s3"))
            settings = fresh(values, Path(name))
            produce_all("bench", settings, images(given.messages, payloads), ["image"])
            produce_all("bench", settings, pairs(given.messages, payloads), ["filtered-pair"])
            print(
                f"{given.messages} pictures of {len(payloads[0])} bytes wait; target under {TARGET_MB} MB", flush=True
            )
            watch(settings, ["filter"], "image", given.messages, given.seconds / 2)
            watch(settings, ["filter", "index"], "image", given.messages, given.seconds)
            watch(settings, ["sharder"], "filtered-pair", given.messages, given.seconds)
        finally:
            stack.down()


if __name__ == "__main__":
    main()
