"""`entityflow inspect url`: by files alone, and asked of real servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fault_server import FaultServer, answer, moved

PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8
COMMAND = [sys.executable, "-c", "from entityflow.cli import main; main()", "inspect", "url"]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


def inspect(folder: Path, *words: str, **settings: str) -> list[dict[str, Any]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ENTITYFLOW_")}
    done = subprocess.run(
        [*COMMAND, *words, "--json"], env=clean | settings, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    return list(document["results"])


def test_by_files_alone_nothing_is_asked(tmp_path: Path) -> None:
    robots = tmp_path / "robots.txt"
    robots.write_bytes(b"\xef\xbb\xbfUser-agent: *\nCrawl-delay: 4\nDisallow: /no/")

    results = inspect(
        tmp_path,
        *(
            "https://A.Example.:443/%7eok?utm_source=x&b=1",
            "http://a.example/no/b",
            "data:image/gif,x",
            "http://10.0.0.7./",
        ),
        *("--robots", str(robots)),
    )

    assert [row["outcome"] for row in results] == ["allowed", "denied", "invalid", "denied"]
    assert [row["reason"] for row in results] == [None, "robots-denied", "not-web", "private-address"]
    first = results[0]
    assert first["request"] == "https://a.example/%7eok?utm_source=x&b=1"
    assert first["canonical"] == "https://a.example/~ok?b=1"
    assert (first["host_key"], first["crawl_delay"], len(first["url_id"])) == ("a.example", 4.0, 32)


def test_given_headers_decide(tmp_path: Path) -> None:
    headers = ("--header", "X-Robots-Tag: max-snippet: -1, NoAI", "--header", "Server: x")

    (refused,) = inspect(tmp_path, "http://a.example/b", *headers)
    (allowed,) = inspect(tmp_path, "http://a.example/b", "--header", "X-Robots-Tag: otherbot: noai")

    assert (refused["outcome"], refused["reason"]) == ("denied", "opted-out")
    assert "x-robots-tag: noai" in refused["evidence"]
    assert allowed["outcome"] == "allowed"


def test_asked_of_servers_it_decides_as_the_fetcher_would(tmp_path: Path, server: FaultServer) -> None:
    server.on("a.test/robots.txt", answer(b"User-agent: *\nCrawl-delay: 0\nDisallow: /no/"))
    server.on("b.test/robots.txt", answer(b"", "503 Busy"))
    server.on("c.test/robots.txt", answer(b"User-agent: *\nDisallow: /"))
    server.on("/ok", answer(PICTURE))
    server.on("/moved", b"HTTP/1.1 302 Found\r\nLocation: /r\xf8d\r\nContent-Length: 0\r\n\r\n")
    server.on("/away", moved("http://c.test/x"))
    server.on("/optout", answer(PICTURE, "200 OK", "X-Robots-Tag: noimageindex"))
    hosts = tmp_path / "hosts.json"
    hosts.write_text(json.dumps(dict.fromkeys(("a.test", "b.test", "c.test"), f"127.0.0.1:{server.port}")))
    paths = ("a.test/ok", "a.test/no/b", "a.test/moved", "a.test/away", "a.test/optout", "a.test/gone", "b.test/ok")

    results = inspect(
        tmp_path,
        *(f"http://{path}" for path in paths),
        ENTITYFLOW_RESOLVE_FILE=str(hosts),
    )

    assert [(row["outcome"], row["reason"]) for row in results] == [
        ("allowed", None),
        ("denied", "robots-denied"),
        ("allowed", None),
        ("denied", "robots-denied"),
        ("denied", "opted-out"),
        ("allowed", None),
        ("denied", "robots-unavailable"),
    ]
    assert "/r%F8d" in server.asked()
    assert "/no/b" not in server.asked()
    assert server.asked("c.test") == server.asked("b.test") == []


@pytest.mark.parametrize("words", [["--robots", "nowhere.txt"], ["--header", "no colon"]])
def test_wrong_words_are_named_and_exit_2(tmp_path: Path, words: list[str]) -> None:
    done = subprocess.run(
        [*COMMAND, "http://a.example/", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert words[1] in done.stderr
    assert done.stdout == ""
