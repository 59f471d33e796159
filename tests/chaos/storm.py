"""A storm over the line: a list fed bit by bit, and everything that can die dying at moments chosen by a seed."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Producer

from entityflow.admin import Admin
from entityflow.embedded.supervisor import Stack
from entityflow.importing import Candidate, Columns, candidates, open_list
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all
from tests.chaos.corpus import Offer, write_list
from tests.chaos.members import Members, Place
from tests.waiting import eventually

SERVICES = ("fetcher", "filter", "index", "sharder", "coverage")
JOINING = ("fetcher", "filter", "sharder", "index")
POISONED = ("url", "image", "filtered-pair")
EVENT_SECONDS = 120.0
LOOK_SECONDS = 0.05
DISK_BYTES = 16 << 20


@dataclass(frozen=True)
class Size:
    pictures: int
    kills: int
    joins: int
    outage_seconds: float  # of the object store
    full_seconds: float  # of the sharder's disk


LONG = Size(pictures=4200, kills=24, joins=4, outage_seconds=60.0, full_seconds=10.0)
SHORT = Size(pictures=80, kills=5, joins=1, outage_seconds=3.0, full_seconds=2.0)


@dataclass
class Seen:
    """What happened, for the last line."""

    killed: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    exit_codes: list[int | None] = field(default_factory=list)  # of members that were told to leave

    def __str__(self) -> str:
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.killed.items()))
        others = ", ".join(f"{name} {count}" for name, count in sorted(self.others.items()))
        return f"{self.killed.total()} kills ({kills}); {others}"


class Disk:
    """The folder of the first sharder: a small file system of its own where we may mount one, else none."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._filler = folder, folder / "filler"
        folder.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
        self.is_own = subprocess.run(words, capture_output=True, check=False).returncode == 0

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError as exc:
                if exc.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        if self.is_own:
            subprocess.run(["umount", "-l", str(self._folder)], check=True)


class Storm:
    """`rage()` feeds the whole list and lets every event happen; `calm()` waits until all has run through."""

    def __init__(self, folder: Path, stack: Stack, settings: Settings, size: Size, seed: int) -> None:
        self._folder, self._stack, self._settings, self._size = folder, stack, settings, size
        self._chance = random.Random(seed)
        self._environment = environment_of(settings)
        self.members = Members(folder, self._environment)
        self._disk = Disk(self.members.state_of(Place("sharder", 0)))
        self._admin = Admin(settings)
        self._fed: list[Offer] = []
        self._due: list[tuple[float, Callable[[], None]]] = []
        self.seen = Seen()

    # --- the course of it ---

    def rage(self, offers: list[Offer]) -> None:
        for service in SERVICES:
            self.members.add(Place(service, 0))
        events = self._events()
        bit = -(-len(offers) // len(events))
        for at, event in enumerate(events):
            fed = offers[at * bit : (at + 1) * bit]
            before = self._ended()
            self._feed(fed, f"bit-{at}")
            self._fed += fed
            enough = before + int(len(fed) * self._chance.random())
            self._go_on(lambda n=enough: self._ended() >= n)  # type: ignore[misc]
            event()
        self._go_on(lambda: not self._due)

    def _events(self) -> list[Callable[[], None]]:
        events: list[Callable[[], None]] = [self._kill] * self._size.kills
        events += [self._restart_broker, self._store_goes, self._repeat_some, self._poison]
        events += [self._disk_fills] if self._disk.is_own else []
        self._chance.shuffle(events)
        joining = self._chance.sample(JOINING, self._size.joins)
        places = sorted(self._chance.sample(range(len(events)), 2 * len(joining)))
        for shift, (place, number) in enumerate(zip(places, [*range(len(joining))] * 2, strict=True)):
            act = self._join if shift < len(joining) else self._leave
            events.insert(place + shift, lambda a=act, s=joining[number]: a(Place(s, 1)))  # type: ignore[misc]
        return events

    def calm(self) -> int:
        """Until nothing is left and all is sealed; the exit code of `entityflow wait`."""
        return self.command("wait", "--timeout", "400")

    def stop(self) -> None:
        """All members by SIGTERM."""
        for place in self.members.places:
            self.seen.exit_codes.append(self.members.remove(place))

    def close(self) -> None:
        self.members.end()
        self._disk.close()

    # --- waiting, while members are watched ---

    def _go_on(self, until: Callable[[], bool]) -> None:
        end = time.monotonic() + EVENT_SECONDS + self._size.outage_seconds
        while not until():
            if time.monotonic() > end:
                raise AssertionError(f"nothing moves: {self._ended()} ended, {self.seen}, {self.members.codes}")
            self.members.look()
            for due in [one for one in self._due if one[0] <= time.monotonic()]:
                self._due.remove(due)
                due[1]()
            time.sleep(LOOK_SECONDS)

    def _ended(self) -> int:
        places = [("outcome", partition) for partition in range(2)]
        return sum(self._admin.ends(places).values())

    def command(self, *words: str, log: str = "commands") -> int:
        """An `entityflow` command, while members are watched."""
        with (self._folder / f"{log}.log").open("ab") as file:
            running = subprocess.Popen(
                [sys.executable, "-m", "entityflow", *words],
                env={**os.environ, **self._environment},
                stdout=file,
                stderr=file,
            )
        while running.poll() is None:
            self.members.look()
            time.sleep(LOOK_SECONDS)
        return running.returncode

    def _feed(self, fed: list[Offer], name: str) -> None:
        """As `entityflow import` does it."""
        rows = candidates(open_list(write_list(self._folder / f"{name}.csv", fed)), Columns("url", "caption"))
        sends = [Send("url", row.url, key=row.host_key) for row in rows if isinstance(row, Candidate)]
        assert produce_all("import", self._settings, sends, ["url"]) == len(fed)

    # --- what happens ---

    def _kill(self) -> None:
        place = self._chance.choice(self.members.places)
        time.sleep(self._chance.random())
        self._go_on(lambda: self.members.kill(place))
        self.seen.killed[place.service] += 1

    def _join(self, place: Place) -> None:
        self.members.add(place)
        self.seen.others["joined"] += 1

    def _leave(self, place: Place) -> None:
        self.seen.exit_codes.append(self.members.remove(place))
        self.seen.others["left"] += 1

    def _restart_broker(self) -> None:
        self._take_down("kafka")
        self._stack.up(only=("kafka",))
        self.seen.others["broker restarted"] += 1

    def _store_goes(self) -> None:
        self._take_down("s3")
        self._due.append((time.monotonic() + self._size.outage_seconds, lambda: self._stack.up(only=("s3",)) and None))
        self.seen.others["store away"] += 1

    def _disk_fills(self) -> None:
        self._disk.fill()
        self._due.append((time.monotonic() + self._size.full_seconds, self._disk.free))
        self.seen.others["disk full"] += 1

    def _repeat_some(self) -> None:
        """Records that come twice: the same ids again."""
        again = self._chance.sample(self._fed, len(self._fed) // 3)
        self._feed(again, "again")
        self.seen.others["repeated"] += len(again)

    def _poison(self) -> None:
        """Bytes that are none of our records."""
        producer = Producer({"bootstrap.servers": self._settings.kafka_bootstrap})
        for topic in POISONED:
            producer.produce(self._settings.topic_name(topic), b"poison", b"k")
        assert producer.flush(60) == 0
        self.seen.others["poisoned"] += len(POISONED)

    def _take_down(self, part: str) -> None:
        (pid,) = [one.pid for one in self._stack.status() if one.name == part]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: part not in {one.name for one in self._stack.status() if one.state == "running"})


def environment_of(settings: Settings) -> Mapping[str, str]:
    """Of members and commands."""
    return {
        "ENTITYFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ENTITYFLOW_S3_ENDPOINT": settings.s3_endpoint,
        "ENTITYFLOW_S3_ACCESS_KEY": settings.s3_access_key,
        "ENTITYFLOW_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "ENTITYFLOW_S3_BUCKET": settings.s3_bucket,
        "ENTITYFLOW_PREFIX": settings.prefix,
        "ENTITYFLOW_SMALL_TOPICS": "true",
        "ENTITYFLOW_SESSION_TIMEOUT_SECONDS": "6",
        "ENTITYFLOW_DRAIN_SECONDS": "5",
        "ENTITYFLOW_FETCHER_ALLOW_LOOPBACK": "true",
        "ENTITYFLOW_FETCHER_BACKOFF_SECONDS": "1",
        "ENTITYFLOW_FETCHER_MAX_BACKOFF_SECONDS": "5",
        "ENTITYFLOW_FETCHER_RETRY_SHORT_SECONDS": "1",
        "ENTITYFLOW_FETCHER_RETRY_MEDIUM_SECONDS": "4",
        "ENTITYFLOW_FETCHER_RETRY_LONG_SECONDS": "10",
        "ENTITYFLOW_FILTER_ASK_AGAIN_SECONDS": "5",
        "ENTITYFLOW_SHARDER_MAX_SAMPLES": "100",
        "ENTITYFLOW_COVERAGE_QUIET_SECONDS": "1",
    }
