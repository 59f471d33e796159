"""The demo web as a part of the stack."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import ClassVar

from entityflow.embedded.cache import DEMO_DATA, alone, writable
from entityflow.embedded.corpus import build_corpus
from entityflow.embedded.jars import Say
from entityflow.embedded.ports import LOOPBACK
from entityflow.embedded.processes import ServerProcess
from entityflow.embedded.web import write_resolve_map
from entityflow.embedded.web_hosts import SEARCH_HOST

ASK_SECONDS = 2.0


class WebPart:
    """Port: `web`, for every host of the demo web."""

    name: ClassVar[str] = "web"
    ports: ClassVar[tuple[str, ...]] = ("web",)
    apart: ClassVar[int] = 0
    stop_seconds: ClassVar[float] = 5.0

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self._home = folder / "web"
        self._port = ports["web"]
        self.process = ServerProcess(self.name, folder)

    @property
    def _resolve_file(self) -> Path:
        return self._home / "hosts.json"

    def environment(self) -> dict[str, str]:
        return {
            "ENTITYFLOW_SEARCH_ENDPOINT": f"http://{SEARCH_HOST}",
            "ENTITYFLOW_RESOLVE_FILE": str(self._resolve_file),
        }

    def start(self, say: Say) -> None:
        with alone(DEMO_DATA):
            corpus = build_corpus(say)
        writable(self._home)
        write_resolve_map(self._resolve_file, self._port)
        module = "entityflow.embedded.web"
        arguments = ["--port", str(self._port), "--corpus", str(corpus), "--state", str(self._home)]
        self.process.start([sys.executable, "-m", module, *arguments])

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self._port}/healthz", timeout=ASK_SECONDS) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False
