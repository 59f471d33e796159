"""A SPARQL server on loopback: oxigraph over the graph of living things, read only."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import ClassVar

from entityflow.embedded.cache import DEMO_DATA, alone, sha256_of, writable
from entityflow.embedded.graph import build_graph
from entityflow.embedded.jars import Say
from entityflow.embedded.ports import LOOPBACK
from entityflow.embedded.processes import ServerProcess
from entityflow.errors import UserError

ASK_SECONDS = 2.0


class SparqlPart:
    """Port: `sparql`. The graph is loaded once for each of its versions."""

    name: ClassVar[str] = "sparql"
    ports: ClassVar[tuple[str, ...]] = ("sparql",)
    apart: ClassVar[int] = 0
    stop_seconds: ClassVar[float] = 5.0

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self._home = folder / "sparql"
        self._address = f"{LOOPBACK}:{ports['sparql']}"
        self.process = ServerProcess(self.name, folder)

    @property
    def endpoint(self) -> str:
        return f"http://{self._address}/query"

    def environment(self) -> dict[str, str]:
        return {"ENTITYFLOW_SPARQL_ENDPOINT": self.endpoint}

    def start(self, say: Say) -> None:
        binary = shutil.which("oxigraph", path=sysconfig.get_path("scripts")) or shutil.which("oxigraph")
        if binary is None:
            raise UserError("there is no `oxigraph` on this machine", hint="pip install oxigraph")
        with alone(DEMO_DATA):
            graph = build_graph(say)
        data = self._load(binary, graph, say)
        self.process.start([binary, "serve-read-only", "--location", str(data), "--bind", self._address])

    def _load(self, binary: str, graph: Path, say: Say) -> Path:
        writable(self._home)
        data = self._home / sha256_of(graph)[:16]
        if data.exists():
            return data
        say("loading the knowledge graph")
        scratch = self._home / "loading"
        shutil.rmtree(scratch, ignore_errors=True)
        command = [binary, "load", "--location", str(scratch), "--file", str(graph)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"oxigraph could not load {graph}: {done.stderr.strip()[-300:]}")
        for old in self._home.iterdir():
            if old != scratch:
                shutil.rmtree(old)
        return scratch.rename(data)

    def is_ready(self) -> bool:
        query = urllib.parse.urlencode({"query": "ASK { ?s ?p ?o }"})
        request = urllib.request.Request(
            f"{self.endpoint}?{query}", headers={"Accept": "application/sparql-results+json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=ASK_SECONDS) as response:
                return b"true" in response.read()
        except (OSError, urllib.error.URLError):
            return False
