"""`entityflow grow` as a user runs it, on a stack of its own, and ways to hurt what it started."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from entityflow.cli.environment import read_stack_file
from entityflow.records import Match
from entityflow.settings import Settings, load_settings
from entityflow.stage import read_topic

LIMIT = 12
GROW_SECONDS = 300
DOMAIN = (
    (Path(str(files("domains"))) / "demo.yaml")
    .read_text()
    .replace("sharding: {max_samples: 80", "sharding: {max_samples: 10")
)


class Grower:
    """`entityflow` commands on one stack, each domain under a prefix of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.domain = folder / "small.yaml"
        self.domain.write_text(DOMAIN)

    def run(self, *words: str, prefix: str) -> str:
        done = subprocess.run(
            self._command(*words), env=self._environment(prefix), capture_output=True, text=True, timeout=GROW_SECONDS
        )
        assert done.returncode == 0, (
            f"{words} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        )
        return done.stdout

    def begin_growing(self, prefix: str, limit: int = LIMIT) -> subprocess.Popen[bytes]:
        words = self._command(*self._grow(limit))
        with (self.folder / f"{prefix}.log").open("wb") as log:
            return subprocess.Popen(words, env=self._environment(prefix), stdout=log, stderr=log)

    def grow(self, prefix: str, limit: int = LIMIT) -> str:
        return self.run(*self._grow(limit), prefix=prefix)

    def report(self, prefix: str) -> dict:
        return json.loads(self.run("report", "--json", prefix=prefix))

    def samples(self, prefix: str) -> Counter[str]:
        """How often each image_id lies in the pulled shards."""
        return Counter(self._pulled(prefix, "key"))

    def pictures(self, prefix: str) -> Counter[str]:
        """The samples by the demo web's name of the picture: which copy of it came first is the hosts' doing."""
        return Counter(address.rpartition("/")[2].rpartition(".")[0] for address in self._pulled(prefix, "url"))

    def _pulled(self, prefix: str, column: str) -> list[str]:
        target = self.folder / f"pulled-{prefix}-{len(list(self.folder.iterdir()))}"
        self.run("shards", "pull", str(target), "--heldout", prefix=prefix)
        return pq.read_table(target / "metadata.parquet", columns=[column])[column].to_pylist()

    def clusters(self, prefix: str) -> set[frozenset[str]]:
        """The images that the index holds to be the same picture, each accepted or merged one in one cluster."""
        own = read_stack_file(self.folder / "stack" / "stack.env")
        named = {name.removeprefix("ENTITYFLOW_").lower(): value for name, value in own.items()}
        settings = load_settings(Settings, **{**named, "prefix": prefix})
        members: dict[str, set[str]] = {}
        for _, match in read_topic(settings, "match"):
            assert isinstance(match, Match)
            if match.canonical_id is not None:
                members.setdefault(match.canonical_id, set()).add(match.image_id)
        return {frozenset(ids) for ids in members.values()}

    def asked(self) -> list[dict]:
        """The demo web's own log of picture requests."""
        log = self.folder / "stack" / "web" / "access.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if entry["path"].startswith(("/pictures/", "/private/"))]

    def _grow(self, limit: int) -> list[str]:
        return ["grow", str(self.domain), "--limit", str(limit), "--rounds", "0"]

    def _command(self, *words: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "entityflow",
            *words,
            *(["--dir", str(self.folder / "stack")] if "grow" in words else []),
        ]

    def _environment(self, prefix: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENTITYFLOW_")}
        cache = {name: os.environ[name] for name in ("ENTITYFLOW_CACHE_DIR",) if name in os.environ}
        own = {"ENTITYFLOW_PREFIX": prefix, "ENTITYFLOW_STACK_DIR": str(self.folder / "stack")}
        quick = {
            "ENTITYFLOW_TRAINER_PASSES": "2",
            "ENTITYFLOW_STATE_DIR": str(self.folder / f"state-{prefix}"),
            "ENTITYFLOW_SESSION_TIMEOUT_SECONDS": "6",  # a killed member is missed for that long, 30 s by default
        }
        return {**kept, **cache, **own, **quick}


def kill_service(growing: subprocess.Popen[bytes], service: str, killed: Counter[str]) -> bool:
    """SIGKILL to the service's process; false while there is none yet."""
    for process in service_processes(growing):
        if service in process.cmdline():
            process.send_signal(signal.SIGKILL)
            killed[service] += 1
            return True
    return False


def restarted(growing: subprocess.Popen[bytes]) -> bool:
    running = {word for process in service_processes(growing) for word in process.cmdline()}
    return {"filter", "index"} <= running


def service_processes(growing: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        children = psutil.Process(growing.pid).children()
        return [child for child in children if "entityflow.serve" in child.cmdline()]
    except psutil.Error:
        return []
