"""A list goes through the line in one command: every row is told as wrong, or has its end in the report."""

import csv
import io
import itertools
import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from entityflow.settings import Settings
from tests.integration.command import json_of, run_command

PICTURES, DEAD, WRONG = 24, 5, 3


def picture(number: int) -> bytes:
    """Boxes that differ enough to be no duplicates of each other, and not near to one that is held out either."""
    drawn, chance = Image.new("RGB", (240, 200)), random.Random(number)
    for column, row in itertools.product(range(12), range(10)):
        colour = chance.randrange(256), chance.randrange(256), chance.randrange(256)
        ImageDraw.Draw(drawn).rectangle([column * 20, row * 20, column * 20 + 19, row * 20 + 19], fill=colour)
    data = io.BytesIO()
    drawn.save(data, "JPEG", quality=95)
    return data.getvalue()


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pictures: ClassVar[dict[str, bytes]] = {f"/{n}.jpg": picture(n) for n in range(PICTURES)}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = self.pictures.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def write_list(path: Path, site: str) -> None:
    rows = [(f"{site}/{n}.jpg", f"coloured boxes, number {n}") for n in range(PICTURES)]
    rows += [(f"{site}/dead{n}.jpg", "a picture that is gone") for n in range(DEAD)]
    rows += [(f"no address {n}", "nothing") for n in range(WRONG)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("url", "caption"), *rows])


def test_every_row_is_accounted_for_and_a_second_time_adds_nothing(
    settings: Settings, site: str, tmp_path: Path
) -> None:
    write_list(tmp_path / "list.csv", site)
    words = ("import", str(tmp_path / "list.csv"), "--text-col", "caption", "--out", str(tmp_path / "out"))
    local = {"ENTITYFLOW_FETCHER_ALLOW_LOOPBACK": "true", "ENTITYFLOW_STACK_DIR": str(tmp_path / "stack")}

    first = run_command(settings, *words, **local)
    report = json_of(settings, "report")
    asked = list(Site.asked)
    again = run_command(settings, *words, **local)

    assert first.returncode == 0, first.stderr
    assert f"{WRONG} wrong" in first.stderr
    assert report["candidates"] == PICTURES + DEAD == sum(report["outcomes"].values())
    assert report["outcomes"]["not-found"] == DEAD
    assert report["accepted"] + report["merged"] == PICTURES
    assert again.returncode == 0, again.stderr
    assert json_of(settings, "report")["accepted"] == report["accepted"]
    assert Site.asked == asked

    sizes = json.loads((tmp_path / "out" / "sizes.json").read_text())
    keys = pq.read_table(tmp_path / "out" / "metadata.parquet", columns=["key"])["key"].to_pylist()
    assert sum(sizes.values()) == len(set(keys)) == report["shards"]["samples"]
