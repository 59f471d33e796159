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
from entityflow.ids import query_id
from entityflow.records import Outcome, Query, Url
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


ANSWERS: dict[str, Callable[[int], web.Response | dict[str, object]]] = {
    "pages": lambda page: page_of(*PAGES[page], pages=3, title="A <b>heron</b>"),
    "hosts": lambda _page: page_of(*(f"http://www{n % 3}.birds{n % 2}.org/{n}.jpg" for n in range(12))),
    "placeholder": lambda _page: page_of("data:image/gif;base64,R0lG", "http://placeholder.test/1.jpg"),
    "deep": lambda page: page_of(f"http://deep.test/{page}.jpg", pages=9) if page < 3 else web.Response(status=400),
    "refused": lambda _page: web.Response(status=400, text="no"),
}
PAGES = {1: ["http://a.test/1.jpg", "http://b.test/2.jpg"], 2: [], 3: ["http://a.test/3.jpg"]}


def test_queries_of_every_sort_end_as_they_should(settings: Settings, api: SearchApi, start: Start) -> None:
    api.answer = lambda text, page: ANSWERS[text](page)
    publish(settings, *ANSWERS)

    start()
    eventually(lambda: committed(settings) == len(ANSWERS))

    asked_for_pages = sorted(found_for("pages", settings), key=lambda url: url.rank)
    assert [(url.address, url.rank) for url in asked_for_pages] == [
        ("http://a.test/1.jpg", 0),
        ("http://b.test/2.jpg", 1),
        ("http://a.test/3.jpg", 2),
    ], "every address of every page is a candidate, in order; an empty page is not the end"
    assert {url.title for url in asked_for_pages} == {"A heron"}
    assert [api.asked["pages", page] for page in range(1, 5)] == [1, 1, 1, 0]

    assert len(found_for("deep", settings)) == 2, "a page that is too deep ends the query with what it has"
    assert api.asked["deep", 3] == 1

    (outcome,) = [record for _, record in read_topic(settings, "outcome") if isinstance(record, Outcome)]
    assert (outcome.result, outcome.stage, outcome.entity_id) == ("not-web", "searcher", "Q5113")
    assert len(found_for("placeholder", settings)) == 1

    ((letter, _),) = read_topic(settings, "query-dlq")
    assert letter.headers["dlq-reason"] == b"query-refused"

    for message, record in read_topic(settings, "url"):
        host = record.address.split("/")[2]
        host_key = (host.split(".", 1)[1] if host.startswith("www") else host).encode()
        assert (message.key, message.partition) == (host_key, partition_of(host_key, 4)), "a host has one partition"


def found_for(text: str, settings: Settings) -> list[Url]:
    asked = query_id("Q5113", "noun", text, "en")
    return [url for url in offered(settings) if url.query_id == asked]


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


def test_a_provider_that_is_away_or_cuts_its_answers_is_asked_again(
    settings: Settings, api: SearchApi, start: Start
) -> None:
    bad = {1: web.Response(status=503, text="<html>busy</html>"), 2: web.Response(text='{"pages": 1, "hits": [{"u')}
    api.answer = lambda _text, _page: bad.get(api.asked["heron", 1]) or page_of("http://a.test/1.jpg")
    publish(settings, "heron")

    start()

    eventually(lambda: committed(settings) == 1)
    assert [url.address for url in offered(settings)] == ["http://a.test/1.jpg"]
    assert api.asked["heron", 1] == 3


def test_a_kill_in_the_middle_loses_no_candidate(settings: Settings, start: Start) -> None:
    publish(settings, *(f"bird{number}" for number in range(100)))
    for wanted in (10, 50):
        process = start()
        eventually(lambda wanted=wanted: len(offered(settings)) >= wanted)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    start()

    eventually(lambda: committed(settings) == 100)

    assert {url.address for url in offered(settings)} == {f"http://bird{number}.test/1.jpg" for number in range(100)}


def test_a_start_without_an_endpoint_or_with_an_unknown_provider_names_it(start: Start, tmp_path: Path) -> None:
    nowhere = start(ENTITYFLOW_SEARCH_ENDPOINT="")
    other = tmp_path / "other.yaml"
    other.write_text("name: birds\nroots: [Q5113]\nproviders: [alta-vista]\n")
    unknown = start(ENTITYFLOW_DOMAIN=str(other))

    logs = [process.communicate(timeout=60)[1] for process in (nowhere, unknown)]

    assert [nowhere.returncode, unknown.returncode] == [2, 2]
    assert "ENTITYFLOW_SEARCH_ENDPOINT" in logs[0]
    assert "alta-vista" in logs[1]
    assert "known are brave" in logs[1]
