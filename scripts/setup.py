"""Makes .venv with what requirements/NAME.txt pins; standard library only, so that any Python 3.11+ runs it.

    python3 scripts/setup.py local|test

Each step says its name, its seconds and ok, or the cure. What is done is skipped by the hash of what it was made from.
uv installs in a fraction of pip's time; it comes by pip, pinned by hash, and where it fails pip takes its place.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / "python"
DONE = VENV / "setup.json"
REQUIREMENTS = ROOT / "requirements"
MIN_PYTHON = (3, 11)

# uv does not read pip's configuration: what a person told pip about mirrors and certificates is told to uv too
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}


class Failed(Exception):
    """A step that a person must help, with the cure."""

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.cure = cure


def main(name: str) -> int:
    if sys.version_info < MIN_PYTHON:
        say(f"error: this is Python {sys.version.split()[0]}, Python 3.11 or newer is needed")
        say("hint: install it, or make PYTHON=/path/to/python3.11")
        return 1
    wanted = REQUIREMENTS / f"{name}.txt"
    if not wanted.is_file():
        say(f"error: there is no {wanted.relative_to(ROOT)}\nhint: local for the demo, test for the tests")
        return 2
    bootstrap, project = REQUIREMENTS / "bootstrap.txt", ROOT / "pyproject.toml"
    steps: list[tuple[str, str, Callable[[], None]]] = [
        ("venv", sys.version.split()[0], make_venv),
        ("installer", digest(bootstrap), lambda: pip_install(bootstrap)),
        (f"requirements {name}", digest(wanted), lambda: install(wanted)),
        ("entityflow", f"{ROOT} {digest(project)}", install_project),
    ]
    try:
        for title, key, step in steps:
            if already(title, key):
                continue
            begun = time.monotonic()
            say(f"{title} ...")
            step()
            remember(title, key)
            say(f"{title} ok, {time.monotonic() - begun:.1f} s")
    except Failed as exc:
        say(f"error: {exc}\nhint: {exc.cure}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def already(title: str, key: str) -> bool:
    """An environment that was there before is kept whatever its Python; a broken one is made anew."""
    if title == "venv":
        return works()
    return works() and noted().get(title) == key


def works() -> bool:
    """The environment's Python starts, is new enough and has pip."""
    check = f"import sys, pip; sys.exit(sys.version_info < {MIN_PYTHON})"
    return PYTHON.exists() and run([PYTHON, "-c", check], quiet=True) == 0


def make_venv() -> None:
    DONE.unlink(missing_ok=True)
    if run([sys.executable, "-m", "venv", "--clear", VENV]) != 0:
        raise Failed(
            f"{VENV} could not be made with {sys.executable}",
            "see the lines above: a full disk, a folder that is not yours, or Debian's package python3-venv is missing",
        )


def pip_install(requirements: Path) -> None:
    command: list[str | Path] = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
    ]
    if run([*command, "--no-deps", "--only-binary", ":all:", "-r", requirements]) != 0:
        raise Failed(
            f"{requirements.relative_to(ROOT)} could not be installed",
            "see the lines above: check network, proxy and disk, and run the same command again; what is done is kept",
        )


def install(requirements: Path) -> None:
    uv: list[str | Path] = [BIN / "uv", "pip", "install", "--python", PYTHON, "--require-hashes", "--no-deps"]
    if run([*uv, "-r", requirements], environment=uv_environment()) != 0:
        say("uv did not succeed; trying with pip, which takes longer")
        pip_install(requirements)


def install_project() -> None:
    command: list[str | Path] = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
    ]
    if run([*command, "--no-build-isolation", "-e", ROOT]) != 0:
        raise Failed(f"{ROOT} could not be installed into {VENV}", "see the lines above; make setup tries it again")


def uv_environment() -> dict[str, str]:
    """Our environment, with pip's settings in uv's words. What is set for uv already stays."""
    listed = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    found = translate(listed.stdout.splitlines())
    return {**found, **os.environ}


def translate(lines: list[str]) -> dict[str, str]:
    """`pip config list` as variables of uv. Environment wins over [install], and that over [global], as in pip."""
    ranks = {"global": 0, "install": 1, ":env:": 2}
    settings = []
    for line in lines:
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in ranks and key in PIP_TO_UV:
            settings.append((ranks[section], key, str(ast.literal_eval(value))))
    found: dict[str, str] = {}
    for _, key, value in sorted(settings):
        words = value.split()
        if key == "find-links":
            words = [word for word in words if "://" in word or Path(word).is_dir()]
        if words:
            found[PIP_TO_UV[key]] = (" " if key in ("extra-index-url", "trusted-host") else ",").join(words)
    return found


def noted() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(DONE.read_text())
    except (OSError, ValueError):
        return {}
    return found


def remember(title: str, key: str) -> None:
    scratch = DONE.with_suffix(".new")
    scratch.write_text(json.dumps({**noted(), title: key}, indent=1))
    scratch.replace(DONE)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(command: Sequence[str | Path], environment: dict[str, str] | None = None, quiet: bool = False) -> int:
    """The exit code; what it prints goes to stderr."""
    out = subprocess.DEVNULL if quiet else sys.stderr
    try:
        return subprocess.run(command, env=environment, stdout=out, stderr=out, check=False).returncode
    except OSError as exc:
        if not quiet:
            say(str(exc))
        return 127


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or ["local"]))
