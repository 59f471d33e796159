"""docs/adding-a-service.md, carried out: its blocks are written where they say, its commands are run."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from entityflow.codec import from_plain
from entityflow.records import Image
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all
from tests.integration.command import environment
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    text = (ROOT / "docs" / "adding-a-service.md").read_text(encoding="utf-8")
    return [(kind, dedent(body)) for kind, body in BLOCK.findall(text)]


def carry_out(copy: Path) -> list[list[str]]:
    """Writes every block into the copy; returns the commands of the last one."""
    commands: list[list[str]] = []
    for kind, body in blocks():
        first, _, rest = body.partition("\n")
        if kind == "python":
            target = copy / first.removeprefix("# ")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(rest)
        elif kind == "yaml":
            topics = copy / "schemas" / "topics.yaml"
            before, after = topics.read_text().split("  image:\n", 1)
            head, tail = after.split("    groups:\n", 1)
            topics.write_text(f"{before}  image:\n{head}    groups:\n      {rest.strip()}\n{tail}")
        elif kind == "sh":
            commands = [line.split() for line in body.splitlines()]
    (copy / "services" / "colours" / "__init__.py").touch()
    return commands


def in_copy(words: list[str]) -> list[str]:
    modules = {"entityflow": ["-m", "entityflow"], "python": []}
    return [sys.executable, *modules[words[0]], *words[1:]]


def test_the_steps_give_a_service_that_works(settings: Settings, tmp_path: Path) -> None:
    for name in ("entityflow", "services", "schemas", "domains"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    plain = json.loads((ROOT / "schemas" / "examples" / "Image.v1.json").read_text())
    produce_all("test", settings, [Send("image", from_plain(Image, plain))], ["image"])
    own = environment(settings)
    log = tmp_path / "colours.log"

    *first, start = carry_out(tmp_path)
    for words in first:
        subprocess.run(in_copy(words), cwd=tmp_path, env=own, check=True, timeout=60)
    with log.open("wb") as said:
        service = subprocess.Popen(in_copy(start), cwd=tmp_path, env=own, stdout=said, stderr=said)
    try:
        eventually(lambda: "event=looked" in log.read_text() or service.poll() is not None)
        service.send_signal(signal.SIGTERM)
        code = service.wait(30)
    finally:
        service.kill()
        service.wait(10)

    assert f"image_id={plain['image_id']}" in log.read_text()
    assert code == 0
