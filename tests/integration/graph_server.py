"""A real SPARQL server over a small graph, and a proxy in front of it that spoils answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import ClientSession, web

from tests.integration.loopback import serving

WD, WDT = "http://www.wikidata.org/entity/", "http://www.wikidata.org/prop/direct/"
NAMES = {
    "label": "http://www.w3.org/2000/01/rdf-schema#label",
    "alias": "http://www.w3.org/2004/02/skos/core#altLabel",
    "description": "http://schema.org/description",
    "sitelinks": "http://wikiba.se/ontology#sitelinks",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def triple(item: str, property_: str, value: str) -> str:
    """`triple("Q1", "P279", "Q2")`, `triple("Q1", "label", '"grey heron"@en')`, and an IRI in angle brackets."""
    predicate = NAMES.get(property_, WDT + property_)
    target = f"<{WD}{value}>" if value[:1] == "Q" and value[1:].isdigit() else value
    if property_ == "sitelinks":
        target = f'"{value}"^^<http://www.w3.org/2001/XMLSchema#integer>'
    return f"<{WD}{item}> <{predicate}> {target} ."


@contextmanager
def oxigraph(folder: Path, triples: list[str]) -> Iterator[str]:
    """The endpoint's address; the graph is loaded before."""
    program = Path(sys.executable).with_name("oxigraph")
    source, store, port = folder / "graph.nt", folder / "store", free_port()
    source.write_text("\n".join(triples) + "\n", encoding="utf-8")
    subprocess.run([program, "load", "--location", store, "--file", source], check=True, capture_output=True)
    server = subprocess.Popen(
        [program, "serve", "--location", store, "--bind", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/", server)
        yield f"http://127.0.0.1:{port}/query"
    finally:
        server.kill()
        server.wait()


def _wait_until_it_answers(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"oxigraph did not come up at {address}")


def update(endpoint: str, request: str) -> None:
    """A SPARQL update of the graph behind a query address."""
    body = request.encode()
    headers = {"Content-Type": "application/sparql-update"}
    address = endpoint.removesuffix("query") + "update"
    urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=10).close()


Spoil = Callable[[str, int, bytes], web.Response | None]  # (query, number of the request, true body) -> what is sent


class Proxy:
    """Counts the requests and lets `spoil` answer instead of the server behind."""

    def __init__(self, behind: str, spoil: Spoil) -> None:
        self._behind, self._spoil = behind, spoil
        self.queries: list[str] = []
        self.address = ""

    async def handle(self, request: web.Request) -> web.Response:
        form = await request.post() if request.method == "POST" else request.query
        query = str(form["query"])
        self.queries.append(query)
        headers = {"Accept": "application/sparql-results+json"}
        async with (
            ClientSession() as session,
            session.post(self._behind, data={"query": query}, headers=headers) as answer,
        ):
            body, kind = await answer.read(), answer.headers["Content-Type"]
        spoilt = self._spoil(query, len(self.queries), body)
        return spoilt or web.Response(body=body, headers={"Content-Type": kind}, status=answer.status)


@contextmanager
def proxied(behind: str, spoil: Spoil) -> Iterator[Proxy]:
    proxy = Proxy(behind, spoil)
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/query", proxy.handle)
    with serving(app) as address:
        proxy.address = f"{address}/query"
        yield proxy
