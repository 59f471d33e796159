"""Apache Kafka's jars: fetched once from Maven by a committed lock, verified against it before every start."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from entityflow.embedded.cache import alone, cache_dir, sha256_of
from entityflow.embedded.mirrors import central_mirror
from entityflow.errors import UserError

PARALLEL = 8
TIMEOUT_SECONDS = 60
LINE_SECONDS = 2.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str
    bytes: int

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def locked_jars() -> list[Jar]:
    """The jars of `kafka-jars.lock`."""
    lines = files("entityflow.embedded").joinpath("kafka-jars.lock").read_text().splitlines()
    jars = []
    for line in lines:
        if line and not line.startswith("#"):
            coordinate, digest, size = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, digest, int(size)))
    return jars


Fetch = Callable[[Jar, Path], Path]


def from_maven(jar: Jar, scratch: Path) -> Path:
    """The jar as a file under `scratch`, by jgo, from Central or the user's mirror of it."""
    from jgo.maven import MavenContext

    mirror = central_mirror(Path.home() / ".m2" / "settings.xml")
    remotes = {"central": mirror} if mirror else None
    context = MavenContext(repo_cache=scratch, remote_repos=remotes, timeout=TIMEOUT_SECONDS)
    fetched: Path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact("", "jar").resolve()
    return fetched


def ensure_jars(say: Say, jars: Sequence[Jar] | None = None, fetch: Fetch = from_maven) -> Path:
    """The folder with every jar of the lock; what is missing or damaged is fetched. `say` gets lines of progress."""
    folder = cache_dir() / "kafka-jars"
    folder.mkdir(exist_ok=True)
    with alone("kafka-jars"):
        missing = [jar for jar in jars or locked_jars() if not _is_good(folder / jar.name, jar)]
        if missing:
            _fetch_all(missing, folder, fetch, say)
    return folder


def _is_good(path: Path, jar: Jar) -> bool:
    return path.exists() and path.stat().st_size == jar.bytes and sha256_of(path) == jar.sha256


def _fetch_all(jars: list[Jar], folder: Path, fetch: Fetch, say: Say) -> None:
    total, done, told = sum(jar.bytes for jar in jars), 0, time.monotonic()
    say(f"fetching {len(jars)} jars of Apache Kafka, {total / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch, ThreadPoolExecutor(PARALLEL) as pool:
        futures = {pool.submit(_fetch_one, jar, fetch, Path(scratch), folder): jar for jar in jars}
        try:
            for future in as_completed(futures):
                future.result()
                done += futures[future].bytes
                if time.monotonic() - told > LINE_SECONDS:
                    told = time.monotonic()
                    say(f"fetched {done / 1e6:.0f} of {total / 1e6:.0f} MB")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch_one(jar: Jar, fetch: Fetch, scratch: Path, folder: Path) -> None:
    try:
        fetched = fetch(jar, scratch)
    except UserError:
        raise
    except Exception as exc:
        said = (str(exc) or type(exc).__name__).splitlines()[0]
        raise UserError(
            f"{jar.name} could not be fetched from Maven: {said}",
            hint="check the network or the proxy and run the same command again: what is there is kept",
        ) from exc
    if not _is_good(fetched, jar):
        raise UserError(
            f"{jar.name} from Maven is not the file of the lock (SHA-256 {sha256_of(fetched)[:12]}..., "
            f"expected {jar.sha256[:12]}...)",
            hint="run the same command again; if it stays, something between here and Maven changes files",
        )
    os.replace(fetched, folder / jar.name)
