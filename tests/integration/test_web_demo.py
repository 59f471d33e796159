"""The demo web over a small corpus: what its hosts answer, and what it notes of who asked."""

import io
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path

import pytest
from PIL import Image

from entityflow.embedded import web_hosts as hosts
from entityflow.embedded.corpus import MIT, Picture
from entityflow.embedded.ports import free_ports
from entityflow.embedded.web import MAX_PAGES, MIRROR_SHARE, DemoWeb, write_resolve_map
from entityflow.embedded.web_hosts import Offer, offers
from tests.integration.loopback import serving
from tests.waiting import eventually

SIDE = 64
PICTURES = [
    Picture(f"openmoji-{number}", f"pictures/openmoji-{number}.png", f"Owl {number}", "An owl & a <mouse>",
            ("bird",), "openmoji", MIT, "somebody", None)
    for number in range(600)
]  # fmt: skip
OFFERS = {offer.host: offer for picture in PICTURES for offer in offers(picture)}  # one of each host


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object) -> None:
        return None


class Visitor:
    """Asks any host of the demo web at its one real address, without following redirects."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._opener = urllib.request.build_opener(_NoRedirects)

    def get(self, host: str, path: str) -> Answer:
        headers = {"Host": host, "User-Agent": "owl-watcher/1"}
        request = urllib.request.Request(self._address + path, headers=headers)
        try:
            with self._opener.open(request, timeout=10) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def follow(self, host: str, path: str, hops: int = 5) -> Answer:
        answer = self.get(host, path)
        while hops and (target := answer.headers["Location"]):
            parts = urllib.parse.urlsplit(target)
            host, hops = parts.netloc or host, hops - 1
            answer = self.get(host, parts.path)
        return answer

    def search(self, **parameters: object) -> Answer:
        return self.get(hosts.SEARCH_HOST, f"/search?{urllib.parse.urlencode(parameters)}")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "pictures").mkdir()
    for number, picture in enumerate(PICTURES):
        color = (number % 256, number // 256 * 80, 90, 255)
        Image.new("RGBA", (SIDE, SIDE), color).save(folder / picture.file, compress_level=1)
    (folder / "index.jsonl").write_text("".join(json.dumps(asdict(picture)) + "\n" for picture in PICTURES))
    return folder


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def visitor(corpus: Path, clock: Clock, log: io.StringIO) -> Iterator[Visitor]:
    with serving(DemoWeb(corpus, clock).application(log)) as address:
        yield Visitor(address)


# --- search ---


def test_the_pages_of_a_search_hold_every_hit_once(visitor: Visitor) -> None:
    first = json.loads(visitor.search(q="owl", per_page=50).body)

    pages = [json.loads(visitor.search(q="owl", per_page=50, page=page).body) for page in range(1, first["pages"] + 1)]

    urls = [hit["url"] for page in pages for hit in page["hits"]]
    assert len(urls) == len(set(urls)) == first["total"] > len(PICTURES)


def test_a_hit_says_what_is_known_of_its_picture(visitor: Visitor) -> None:
    hit = json.loads(visitor.search(q="owl 17").body)["hits"][0]

    assert hit["title"] == "Owl 17"
    assert hit["alt"] == "An owl & a <mouse>"
    assert hit["license"] == {"id": "MIT", "url": MIT.url}
    assert (hit["creator"], hit["width"], hit["height"]) == ("somebody", SIDE, SIDE)
    page = urllib.parse.urlsplit(hit["page_url"])
    assert b'alt="An owl &amp; a &lt;mouse&gt;"' in visitor.get(page.netloc, page.path).body


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "q:"),
        ({"q": " "}, "q:"),
        ({"q": "owl", "page": 0}, "page"),
        ({"q": "owl", "page": MAX_PAGES + 1}, "page"),
        ({"q": "owl", "page": "two"}, "page"),
        ({"q": "owl", "per_page": -3}, "per_page"),
        ({"q": "owl", "page": "²"}, "page"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(visitor: Visitor, parameters: dict[str, object], named: str) -> None:
    answer = visitor.search(**parameters)

    assert answer.status == 400
    assert json.loads(answer.body)["error"].startswith(named)


def test_only_the_search_host_searches(visitor: Visitor) -> None:
    assert visitor.get(hosts.SLOW, "/search?q=owl").status == 404


# --- hosts ---


def test_a_picture_comes_as_it_is_from_its_home(visitor: Visitor, corpus: Path) -> None:
    offer = OFFERS["drawings.demo.test"]

    answer = visitor.get(offer.host, offer.path)

    assert answer.headers["Content-Type"] == "image/png"
    assert answer.body == (corpus / offer.picture.file).read_bytes()


def test_the_mirror_has_a_smaller_recompressed_copy(visitor: Visitor) -> None:
    offer = OFFERS[hosts.MIRROR]

    image = Image.open(io.BytesIO(visitor.get(offer.host, offer.path).body))

    assert image.format == "JPEG"
    assert image.size == (SIDE * MIRROR_SHARE, SIDE * MIRROR_SHARE)


def test_above_its_rate_the_busy_host_asks_to_wait_and_then_answers(visitor: Visitor, clock: Clock) -> None:
    offer = OFFERS[hosts.BUSY]

    at_once = [visitor.get(offer.host, offer.path) for _ in range(3)]
    clock.now += float(at_once[2].headers["Retry-After"])
    later = visitor.get(offer.host, offer.path)

    assert [answer.status for answer in at_once] == [200, 200, 429]
    assert later.status == 200


def test_a_moved_picture_is_found_by_following(visitor: Visitor, corpus: Path) -> None:
    offer = next(offer for offer in every(hosts.MOVED) if not offer.goes_round)

    first = visitor.get(offer.host, offer.path)
    last = visitor.follow(offer.host, offer.path)

    assert first.status == 301
    assert last.body == (corpus / offer.picture.file).read_bytes()


def test_some_moved_pictures_go_round_for_ever(visitor: Visitor) -> None:
    offer = next(offer for offer in every(hosts.MOVED) if offer.goes_round)

    assert visitor.follow(offer.host, offer.path, hops=30).status == 302


def test_dead_links_say_so(visitor: Visitor) -> None:
    assert {visitor.get(offer.host, offer.path).status for offer in every(hosts.GONE)} == {404, 410}
    assert visitor.get("drawings.demo.test", "/pictures/no-such.png").status == 404


def test_the_liar_sends_a_page_as_a_picture(visitor: Visitor) -> None:
    offer = OFFERS[hosts.LIAR]

    answer = visitor.get(offer.host, offer.path)

    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg; charset=utf-8")
    assert answer.body.startswith(b"<!doctype html>")


def test_two_hosts_do_not_want_their_pictures_trained_on(visitor: Visitor) -> None:
    no_ai, reserved = OFFERS[hosts.OPT_OUT], OFFERS[hosts.RESERVED]

    assert "noai" in visitor.get(no_ai.host, no_ai.path).headers["X-Robots-Tag"]
    assert visitor.get(reserved.host, reserved.path).headers["tdm-reservation"] == "1"


def test_robots_txt_differs_by_host(visitor: Visitor) -> None:
    assert b"Disallow: /private/" in visitor.get(hosts.PRIVATE, "/robots.txt").body
    assert b"Crawl-delay" in visitor.get(hosts.PATIENT, "/robots.txt").body
    assert visitor.get(hosts.MIRROR, "/robots.txt").status == 404


# --- what is noted ---


def test_every_request_is_noted_with_who_asked(visitor: Visitor, log: io.StringIO) -> None:
    offer = OFFERS[hosts.GONE]

    status = visitor.get(offer.host, offer.path).status

    entry = json.loads(log.getvalue())
    assert entry.pop("at") > 0
    assert entry == {"host": offer.host, "path": offer.path, "status": status, "user_agent": "owl-watcher/1"}


def test_the_resolve_map_knows_every_host_that_is_offered(tmp_path: Path) -> None:
    write_resolve_map(tmp_path / "hosts.json", 4321)

    table = json.loads((tmp_path / "hosts.json").read_text())
    assert set(table) == {*OFFERS, *hosts.HOSTS}
    assert {table[host] for host in hosts.HOSTS} == {"127.0.0.1:4321"}
    assert table[hosts.DOWN] != "127.0.0.1:4321"


def test_it_runs_as_a_process_that_ends_when_asked(corpus: Path, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "entityflow.embedded.web", "--port", str(port), "--corpus", str(corpus)]

    with subprocess.Popen([*command, "--state", str(tmp_path / "state")]) as process:
        eventually(lambda: _is_healthy(port))
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)

    assert code == 0
    assert "/healthz" in (tmp_path / "state" / "access.jsonl").read_text()


def _is_healthy(port: int) -> bool:
    try:
        return Visitor(f"http://127.0.0.1:{port}").get(hosts.SEARCH_HOST, "/healthz").status == 200
    except urllib.error.URLError:
        return False


def every(host: str) -> list[Offer]:
    return [offer for picture in PICTURES for offer in offers(picture) if offer.host == host]
