"""Running services refuse what is forgotten from the moment of the command on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from entityflow.addresses import parse_address
from entityflow.ids import candidate_id, image_id
from entityflow.records import Image, Outcome, Url
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all, read_topic
from tests.fault_server import FaultServer, answer, moved
from tests.integration.command import json_of
from tests.integration.filter_line import accepted, image, outcomes, publish, running
from tests.unit.test_fingerprints_copies import photo, stored
from tests.waiting import eventually

HOSTS = ("pics.test", "img.gone.test", "short.test")


@pytest.fixture
def web() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def fetcher(settings: Settings, web: FaultServer, tmp_path: Path) -> Iterator[None]:
    hosts = tmp_path / "hosts.json"
    hosts.write_text(json.dumps(dict.fromkeys(HOSTS, f"127.0.0.1:{web.port}")))
    own = {
        "ENTITYFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ENTITYFLOW_PREFIX": settings.prefix,
        "ENTITYFLOW_SMALL_TOPICS": "true",
        "ENTITYFLOW_RESOLVE_FILE": str(hosts),
        "ENTITYFLOW_CONTACT": "tests@example.org",
        "ENTITYFLOW_STATE_DIR": str(tmp_path / "state"),
    }
    process = subprocess.Popen([sys.executable, "-m", "entityflow.serve", "fetcher"], env={**os.environ, **own})
    yield
    process.kill()
    process.wait()


def offer(settings: Settings, *addresses: str) -> None:
    for address in map(parse_address, addresses):
        identity = candidate_id(address.url_id, "q")
        url = Url(candidate_id=identity, url_id=address.url_id, address=address.request, provider="demo", query_id="q")
        produce_all("test", settings, [Send("url", url, key=address.host_key)], ["url"])


def images(settings: Settings) -> set[str]:
    return {record.image_id for _, record in read_topic(settings, "image") if isinstance(record, Image)}


def dropped(settings: Settings) -> list[Outcome]:
    return [record for _, record in read_topic(settings, "outcome") if isinstance(record, Outcome)]


def test_a_running_fetcher_asks_for_nothing_that_was_forgotten(
    settings: Settings, web: FaultServer, fetcher: None
) -> None:
    good, secret = stored(photo(1)), stored(photo(2))
    web.on("pics.test/a.jpg", answer(good))
    web.on("pics.test/b.jpg", answer(secret))
    web.on("img.gone.test/c.jpg", answer(good))
    web.on("short.test/d", moved("http://img.gone.test/c.jpg"))
    web.on("short.test/e", moved("/gone.jpg"))
    web.on("short.test/gone.jpg", answer(good))
    offer(settings, "http://pics.test/a.jpg")
    eventually(lambda: images(settings) == {image_id(good)})

    words = ["--host", "gone.test", "--sha256", image_id(secret), "--url", "http://short.test/gone.jpg"]
    json_of(settings, "forget", *words)
    offer(
        settings, "http://pics.test/b.jpg", "http://img.gone.test/c.jpg", "http://short.test/d", "http://short.test/e"
    )

    eventually(lambda: len(dropped(settings)) == 4)
    assert [(one.result, one.address) for one in dropped(settings)] == [("forgotten", None)] * 4
    assert sorted(web.asked()) == ["/a.jpg", "/b.jpg", "/d", "/e"]
    assert images(settings) == {image_id(good)}


def test_a_running_filter_passes_on_nothing_that_was_forgotten_meanwhile(settings: Settings) -> None:
    known, secret = image(photo(3), 1), image(photo(4), 2)
    with running(settings, "filter", "index"):
        publish(settings, [known])
        eventually(lambda: len(accepted(settings)) == 1)

        json_of(settings, "forget", "--sha256", secret.image_id)
        publish(settings, [secret])

        eventually(lambda: secret.candidate.candidate_id in outcomes(settings))
    assert outcomes(settings)[secret.candidate.candidate_id] == {"forgotten"}
    assert [pair.image_id for pair in accepted(settings)] == [known.image_id]
