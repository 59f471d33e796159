"""The fetcher as a process: candidates from Kafka, servers with faults on loopback, pictures to Kafka."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image as Picture

from entityflow.addresses import parse_address
from entityflow.ids import candidate_id, image_id
from entityflow.records import Address, Host, Image, Outcome, Record, Url
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all, read_topic
from tests.fault_server import FaultServer, answer, moved
from tests.waiting import eventually

Start = Callable[..., subprocess.Popen[str]]
HOSTS = ("pics.test", "cdn.test", "slow.test", "shy.test")


def photo(seed: int = 0, size: tuple[int, int] = (320, 240)) -> bytes:
    out = io.BytesIO()
    small = Picture.frombytes("RGB", (16, 12), random.Random(seed).randbytes(16 * 12 * 3))
    small.resize(size).save(out, "JPEG", quality=85)
    return out.getvalue()


def candidate(address: str, query: str = "q", **more: object) -> Url:
    url = parse_address(address).url_id
    fields = {"candidate_id": candidate_id(url, query), "url_id": url, "address": address, "provider": "demo"}
    return Url(**{**fields, "query_id": query, **more})  # type: ignore[arg-type]


def offer(settings: Settings, *urls: Url) -> None:
    sends = [Send("url", url, key=parse_address(url.address).host_key) for url in urls]
    produce_all("test", settings, sends, ["url"])


def records(settings: Settings, topic: str) -> list[Record]:
    return [record for _, record in read_topic(settings, topic) if record is not None]


def images(settings: Settings) -> list[Image]:
    return [record for record in records(settings, "image") if isinstance(record, Image)]


def outcomes(settings: Settings) -> dict[str, str]:
    """Reason by address."""
    found = [record for record in records(settings, "outcome") if isinstance(record, Outcome)]
    return {record.address or "": record.result for record in found}


def ended(settings: Settings) -> set[str]:
    """The candidates that gave an image or an outcome."""
    dropped = {record.candidate_id for record in records(settings, "outcome") if isinstance(record, Outcome)}
    return dropped | {image.candidate.candidate_id for image in images(settings)}


@pytest.fixture
def web() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def start(settings: Settings, web: FaultServer, tmp_path: Path) -> Iterator[Start]:
    hosts = tmp_path / "hosts.json"
    hosts.write_text(json.dumps(dict.fromkeys(HOSTS, f"127.0.0.1:{web.port}")))
    own = {
        "ENTITYFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ENTITYFLOW_PREFIX": settings.prefix,
        "ENTITYFLOW_SMALL_TOPICS": "true",
        "ENTITYFLOW_RESOLVE_FILE": str(hosts),
        "ENTITYFLOW_CONTACT": "tests@example.org",
        "ENTITYFLOW_SESSION_TIMEOUT_SECONDS": "6",
        "ENTITYFLOW_DRAIN_SECONDS": "2",
        "ENTITYFLOW_FETCHER_BACKOFF_SECONDS": "0.5",
        "ENTITYFLOW_FETCHER_PARK_SECONDS": "3",
        "ENTITYFLOW_FETCHER_RETRY_SHORT_SECONDS": "0.3",
        "ENTITYFLOW_FETCHER_RETRY_MEDIUM_SECONDS": "0.6",
        "ENTITYFLOW_FETCHER_RETRY_LONG_SECONDS": "1",
        "ENTITYFLOW_FETCHER_MAX_ATTEMPTS": "3",
    }
    processes = []

    def begin(**more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "entityflow.serve", "fetcher"], env={**os.environ, **own, **more}, text=True
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_each_candidate_becomes_an_image_or_gets_its_reason(settings: Settings, web: FaultServer, start: Start) -> None:
    good, other = photo(1), photo(2)
    web.on("/a.jpg", answer(good, "200 OK", "Content-Type: application/octet-stream"))
    web.on("/moved.jpg", moved("http://cdn.test/b%2db.jpg?s=%2F"))
    web.on("cdn.test/b%2db.jpg?s=%2F", answer(other))
    web.on("/optout.jpg", answer(good, "200 OK", "X-Robots-Tag: max-snippet: -1, NoAI"))
    web.on("/page.jpg", answer(b"<!doctype html><html>sorry</html>" * 40, "200 OK", "Content-Type: image/jpeg"))
    web.on("/short.jpg", answer(good[:3000], length=len(good)))
    web.on("/cut.jpg", answer(good[: len(good) // 2]))
    web.on("shy.test/robots.txt", answer(b"User-agent: *\nDisallow: /private/\n"))
    ends = {
        "http://pics.test/optout.jpg": "opted-out",
        "http://pics.test/page.jpg": "not-an-image",
        "http://pics.test/short.jpg": "incomplete-body",
        "http://pics.test/cut.jpg": "truncated",
        "http://pics.test/gone.jpg": "not-found",
        "http://shy.test/private/a.jpg": "robots-denied",
        "http://127.0.0.1:9/a.jpg": "private-address",
    }
    urls = [candidate(address) for address in ["http://pics.test/a.jpg", "http://pics.test/moved.jpg", *ends]]

    offer(settings, *urls)
    start()

    eventually(lambda: len(ended(settings)) == len(urls))
    assert outcomes(settings) == ends
    found = {image.image_id: image for image in images(settings)}
    assert set(found) == {image_id(good), image_id(other)}
    assert found[image_id(other)].candidate.candidate_id == urls[1].candidate_id
    assert found[image_id(other)].final_url == "http://cdn.test/b%2db.jpg?s=%2F"
    assert found[image_id(good)].permission.evidence == ("no robots.txt: status 404",)
    assert web.asked("pics.test").count("/short.jpg") == 3
    assert "/private/a.jpg" not in web.asked()


def test_a_known_address_gives_a_sighting_or_its_reason_without_a_request(
    settings: Settings, web: FaultServer, start: Start
) -> None:
    web.on("/a.jpg", answer(photo(1)))
    web.on("/hop.jpg", moved("http://cdn.test/c.jpg"))
    web.on("/c.jpg", answer(photo(3)))
    addresses = [f"http://pics.test/{name}" for name in ("a.jpg", "hop.jpg", "gone.jpg")]
    offer(settings, *(candidate(address, "first") for address in addresses))
    first = start()
    eventually(lambda: len(ended(settings)) == 3)
    eventually(lambda: len(records(settings, "address")) == 4)
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    asked = len(web.requests)

    offer(settings, *(candidate(address, "second") for address in addresses))
    start()

    eventually(lambda: len(ended(settings)) == 6)
    sightings = [image for image in images(settings) if image.payload is None]
    assert {image.image_id for image in sightings} == {image_id(photo(1)), image_id(photo(3))}
    assert {image.candidate.query_id for image in sightings} == {"second"}
    assert len(web.requests) == asked


def test_refetch_asks_again(settings: Settings, web: FaultServer, start: Start) -> None:
    web.on("/a.jpg", answer(photo(1)))
    offer(settings, candidate("http://pics.test/a.jpg", "first"))
    start()
    eventually(lambda: len(images(settings)) == 1)

    offer(settings, candidate("http://pics.test/a.jpg", "second", refetch=True))

    eventually(lambda: len(images(settings)) == 2)
    assert all(image.payload for image in images(settings))
    assert web.asked() == ["/a.jpg", "/a.jpg"]


def test_alternates_are_tried_in_order_under_the_first_address(
    settings: Settings, web: FaultServer, start: Start
) -> None:
    web.on("cdn.test/second.jpg?k=1", answer(b"<html>" + b" " * 600))
    web.on("/third.jpg", answer(photo(4)))
    url = candidate(
        "http://pics.test/first.jpg",
        page_url="http://pics.test/page",
        alternates=("data:image/gif;base64,AAAA", "//cdn.test/second.jpg?k=1", "http://cdn.test/third.jpg"),
    )

    offer(settings, url)
    start()

    eventually(lambda: images(settings))
    (image,) = images(settings)
    assert (image.candidate.candidate_id, image.candidate.url_id) == (url.candidate_id, url.url_id)
    assert image.final_url == "http://cdn.test/third.jpg"
    assert web.asked() == ["/first.jpg", "/second.jpg?k=1", "/third.jpg"]
    assert outcomes(settings) == {}


def test_a_host_that_asks_for_patience_gets_it_and_holds_up_nobody(
    settings: Settings, web: FaultServer, start: Start
) -> None:
    busy = answer(b"", "429 Too Many Requests", "Retry-After: 1")
    web.on("slow.test/0.jpg", busy, answer(photo(0)))
    for n in range(1, 4):
        web.on(f"slow.test/{n}.jpg", answer(photo(n)))
        web.on(f"pics.test/{n}.jpg", answer(photo(10 + n)))
    urls = [candidate(f"http://slow.test/{n}.jpg") for n in range(4)]
    urls += [candidate(f"http://pics.test/{n}.jpg") for n in range(1, 4)]

    offer(settings, *urls)
    start()

    eventually(lambda: len(images(settings)) == 7)
    slow = [request.at for request in web.requests if request.host == "slow.test"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(slow)]
    assert max(gaps) >= 0.9
    assert web.most_at_once["slow.test"] == 1
    hosts = [record for record in records(settings, "host") if isinstance(record, Host)]
    assert [(host.host_key, host.failures, host.cause) for host in hosts] == [("slow.test", 1, "throttled")]


def test_no_host_gets_more_than_its_rate_across_a_change_of_owner_while_others_run_on(
    settings: Settings, web: FaultServer, start: Start
) -> None:
    per_second = 5
    for n in range(16):
        web.on(f"slow.test/{n}.jpg", answer(photo(n)))
    urls = [candidate(f"http://slow.test/{n}.jpg") for n in range(16)]
    offer(settings, *urls)
    first = start(ENTITYFLOW_FETCHER_LOOPBACK_DELAY_SECONDS=str(1 / per_second))
    eventually(lambda: len(web.asked("slow.test")) >= 6)

    first.send_signal(signal.SIGTERM)
    second = start(ENTITYFLOW_FETCHER_LOOPBACK_DELAY_SECONDS=str(1 / per_second))

    eventually(lambda: len(images(settings)) == 16)
    assert second.poll() is None
    times = [request.at for request in web.requests if request.host == "slow.test"]
    # one more for a first request that arrives late on a busy machine
    assert len(times) <= (times[-1] - times[0]) * per_second * 1.05 + 2
    assert web.most_at_once["slow.test"] == 1


def test_a_host_that_complains_without_an_hour_is_asked_slower_and_is_remembered_for_it(
    settings: Settings, web: FaultServer, start: Start
) -> None:
    web.on("slow.test/0.jpg", answer(b"", "429 Too Many Requests"), answer(photo(0)))
    for n in range(1, 4):
        web.on(f"slow.test/{n}.jpg", answer(photo(n)))
    offer(settings, *(candidate(f"http://slow.test/{n}.jpg") for n in range(4)))
    start()

    eventually(lambda: len(images(settings)) == 4)
    (host,) = [record for record in records(settings, "host") if isinstance(record, Host)]
    assert (host.delay_seconds, host.failures) == (1.0, 1)


def test_a_fetcher_that_is_killed_loses_no_candidate_and_asks_no_known_address_again(
    settings: Settings, web: FaultServer, start: Start
) -> None:
    names = [f"{n}.jpg" for n in range(120)]
    for n, name in enumerate(names):
        if n % 10:
            web.on(f"/{name}", answer(photo(n % 40)))
    urls = [candidate(f"http://{HOSTS[n % 4]}/{name}") for n, name in enumerate(names)]
    offer(settings, *urls)
    killed = start()
    eventually(lambda: len(images(settings)) >= 20)

    killed.kill()
    killed.wait()
    known = {record.url_id for record in records(settings, "address") if isinstance(record, Address)}
    before = len(web.requests)
    start()

    eventually(lambda: ended(settings) == {url.candidate_id for url in urls})
    again = [f"http://{request.host}{request.target}" for request in web.requests[before:]]
    assert not known & {parse_address(address).url_id for address in again}
    assert Counter(outcomes(settings).values()) == {"not-found": 12}
