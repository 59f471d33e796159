"""The searcher as a process: queries from Kafka, a search API on loopback, candidates to Kafka."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from entityflow.admin import Admin
from entityflow.records import Outcome, Query, Url, query_id
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all, read_topic
from entityflow.topics import partition_of
from tests.integration.loopback import serving
from tests.waiting import eventually

Start = Callable[..., subprocess.Popen[str]]
Answer = Callable[[str, int], web.Response | dict[str, object]]


class SearchApi:
    """Answers with what `answer` makes of (text, page); counts what was asked."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, int]] = Counter()
        self.answer: Answer = lambda text, page: page_of(f"http://{text}.test/{page}.jpg")

    async def search(self, request: web.Request) -> web.Response:
        text, page = request.query["q"], int(request.query["page"])
        self.asked[text, page] += 1
        answer = self.answer(text, page)
        return answer if isinstance(answer, web.Response) else web.json_response(answer)


def page_of(*addresses: str, pages: int = 1, **more: object) -> dict[str, object]:
    return {"pages": pages, "hits": [{"url": address, **more} for address in addresses]}


@pytest.fixture
def api() -> SearchApi:
    return SearchApi()


@pytest.fixture
def start(settings: Settings, api: SearchApi, tmp_path: Path) -> Iterator[Start]:
    domain = tmp_path / "birds.yaml"
    domain.write_text("name: birds\nroots: [Q5113]\nproviders:\n  - {name: demo, per_page: 20, max_pages: 5}\n")
    app = web.Application()
    app.router.add_get("/search", api.search)
    processes = []
    with serving(app) as address:
        own = {
            "ENTITYFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "ENTITYFLOW_S3_ENDPOINT": settings.s3_endpoint,
            "ENTITYFLOW_S3_ACCESS_KEY": settings.s3_access_key,
            "ENTITYFLOW_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
            "ENTITYFLOW_PREFIX": settings.prefix,
            "ENTITYFLOW_SMALL_TOPICS": "true",
            "ENTITYFLOW_SEARCH_ENDPOINT": address,
            "ENTITYFLOW_DOMAIN": str(domain),
            "ENTITYFLOW_SESSION_TIMEOUT_SECONDS": "6",
            "ENTITYFLOW_DRAIN_SECONDS": "1",
        }

        def begin(**more: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "entityflow.serve", "searcher"],
                env={**os.environ, **own, **more},
                stderr=subprocess.PIPE,
                text=True,
            )
            processes.append(process)
            return process

        yield begin
        for process in processes:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()


def publish(settings: Settings, *texts: str) -> None:
    queries = [
        Query(
            id=query_id("Q5113", "noun", text, "en"),
            entity_id="Q5113",
            text=text,
            lang="en",
            kind="noun",
            budget=60,
            providers=("demo",),
        )
        for text in texts
    ]
    produce_all("test", settings, [Send("query", query) for query in queries], ["query"])


def offered(settings: Settings) -> list[Url]:
    return [record for _, record in read_topic(settings, "url") if isinstance(record, Url)]


def committed(settings: Settings) -> int:
    return sum(Admin(settings).committed("searcher", "query").values())


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def test_every_address_of_every_page_becomes_a_candidate_in_order(
    settings: Settings, api: SearchApi, start: Start
) -> None:
    pages = {1: ["http://a.test/1.jpg", "http://b.test/2.jpg"], 2: [], 3: ["http://a.test/3.jpg"]}
    api.answer = lambda _text, page: page_of(*pages[page], pages=3, title="A <b>heron</b>")
    publish(settings, "heron")

    start()
    eventually(lambda: committed(settings) == 1)

    found = sorted(offered(settings), key=lambda url: url.rank)
    assert [(url.address, url.rank) for url in found] == [
        ("http://a.test/1.jpg", 0),
        ("http://b.test/2.jpg", 1),
        ("http://a.test/3.jpg", 2),
    ]
    assert {url.title for url in found} == {"A heron"}
    assert api.asked == Counter({("heron", 1): 1, ("heron", 2): 1, ("heron", 3): 1})


def test_candidates_of_one_host_lie_in_one_partition(settings: Settings, api: SearchApi, start: Start) -> None:
    api.answer = lambda _text, _page: page_of(*(f"http://www{n % 3}.birds{n % 2}.org/{n}.jpg" for n in range(12)))
    publish(settings, "heron")

    start()
    eventually(lambda: committed(settings) == 1)

    for message, record in read_topic(settings, "url"):
        host_key = record.address.split("/")[2].split(".", 1)[1].encode()
        assert message.key == host_key
        assert message.partition == partition_of(host_key, 4)


def test_an_address_that_is_none_ends_as_an_outcome(settings: Settings, api: SearchApi, start: Start) -> None:
    api.answer = lambda _text, _page: page_of("data:image/gif;base64,R0lG", "http://a.test/1.jpg")
    publish(settings, "heron")

    start()
    eventually(lambda: committed(settings) == 1)

    (outcome,) = [record for _, record in read_topic(settings, "outcome") if isinstance(record, Outcome)]
    assert (outcome.result, outcome.stage, outcome.entity_id) == ("not-web", "searcher", "Q5113")
    assert len(offered(settings)) == 1


def test_a_replay_asks_nobody_and_offers_the_same(settings: Settings, api: SearchApi, start: Start) -> None:
    publish(settings, "heron", "owl", "crane")
    first = start()
    eventually(lambda: committed(settings) == 3)
    stop(first)
    asked = api.asked.copy()
    before = offered(settings)

    Admin(settings).commit("searcher", "query", {0: 0, 1: 0})
    start()
    eventually(lambda: len(offered(settings)) == 2 * len(before))

    assert api.asked == asked
    assert {url.candidate_id for url in offered(settings)} == {url.candidate_id for url in before}
    assert set(offered(settings)) == set(before)


def test_a_provider_that_is_away_is_waited_for(settings: Settings, api: SearchApi, start: Start) -> None:
    api.answer = lambda _text, _page: web.Response(status=503, text="<html>busy</html>")
    publish(settings, "heron")
    start()
    eventually(lambda: api.asked["heron", 1] >= 2)

    api.answer = lambda _text, _page: page_of("http://a.test/1.jpg")

    eventually(lambda: committed(settings) == 1)
    assert len(offered(settings)) == 1


def test_an_answer_that_is_cut_is_asked_for_again(settings: Settings, api: SearchApi, start: Start) -> None:
    api.answer = lambda _text, _page: (
        web.Response(text='{"pages": 1, "hits": [{"url": "http://a.t')
        if api.asked["heron", 1] == 1
        else page_of("http://a.test/1.jpg")
    )
    publish(settings, "heron")

    start()

    eventually(lambda: committed(settings) == 1)
    assert [url.address for url in offered(settings)] == ["http://a.test/1.jpg"]


def test_a_page_that_is_too_deep_ends_the_query_without_retries(
    settings: Settings, api: SearchApi, start: Start
) -> None:
    api.answer = lambda _text, page: (
        page_of(f"http://a.test/{page}.jpg", pages=9) if page < 3 else web.Response(status=400, text="too deep")
    )
    publish(settings, "heron")

    start()
    eventually(lambda: committed(settings) == 1)

    assert len(offered(settings)) == 2
    assert api.asked["heron", 3] == 1


def test_a_query_that_the_provider_refuses_becomes_a_dead_letter(
    settings: Settings, api: SearchApi, start: Start
) -> None:
    api.answer = lambda text, _page: (
        web.Response(status=400, text="no") if text == "bad" else page_of("http://a.test/1.jpg")
    )
    publish(settings, "bad", "heron")

    start()
    eventually(lambda: committed(settings) == 2)

    ((letter, _),) = read_topic(settings, "query-dlq")
    assert letter.headers["dlq-reason"] == b"query-refused"
    assert len(offered(settings)) == 1


def test_a_kill_in_the_middle_loses_no_candidate(settings: Settings, start: Start) -> None:
    publish(settings, *(f"bird{number}" for number in range(150)))
    for wanted in (10, 60):
        process = start()
        eventually(lambda wanted=wanted: len(offered(settings)) >= wanted)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    start()

    eventually(lambda: committed(settings) == 150)

    assert {url.address for url in offered(settings)} == {f"http://bird{number}.test/1.jpg" for number in range(150)}


def test_a_start_without_an_endpoint_names_the_variable(start: Start) -> None:
    process = start(ENTITYFLOW_SEARCH_ENDPOINT="")
    log = process.communicate(timeout=60)[1]

    assert process.returncode == 2
    assert "ENTITYFLOW_SEARCH_ENDPOINT" in log


def test_a_provider_that_nobody_knows_stops_the_start(start: Start, tmp_path: Path) -> None:
    (tmp_path / "birds.yaml").write_text("name: birds\nroots: [Q5113]\nproviders: [alta-vista]\n")

    process = start()
    log = process.communicate(timeout=60)[1]

    assert process.returncode == 2
    assert "alta-vista" in log
    assert "known are demo" in log
