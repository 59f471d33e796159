"""The searcher as a process with several providers: caps, quotas, absences and what comes back later."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from entityflow.admin import Admin
from entityflow.codec import to_plain
from entityflow.ids import query_id
from entityflow.objects import Objects
from entityflow.records import Query, Url
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all, read_topic
from tests.integration.command import environment
from tests.integration.loopback import serving
from tests.waiting import eventually

PROVIDERS = ("demo", "searxng")


class Apis:
    """Two providers on one port; each says how often it was asked."""

    def __init__(self) -> None:
        self.address = ""
        self.asked: Counter[str] = Counter()
        self.refusing = False

    async def demo(self, request: web.Request) -> web.Response:
        self.asked["demo"] += 1
        if self.refusing:
            return web.Response(status=429, headers={"Retry-After": "7200"})
        return web.json_response({"pages": 1, "hits": [{"url": f"http://demo.test/{request.query['q']}.jpg"}]})

    async def searxng(self, request: web.Request) -> web.Response:
        self.asked["searxng"] += 1
        return web.json_response({"results": [{"img_src": f"http://other.test/{request.query['q']}.jpg"}]})


@pytest.fixture
def apis() -> Iterator[Apis]:
    running, app = Apis(), web.Application()
    app.router.add_get("/search", running.demo)
    app.router.add_get("/searxng", running.searxng)
    with serving(app) as address:
        running.address = address
        yield running


@pytest.fixture
def start(settings: Settings, apis: Apis, tmp_path: Path) -> Iterator[Callable[..., None]]:
    processes = []

    def begin(*providers: dict[str, object], **more: str) -> None:
        domain = tmp_path / "birds.yaml"
        own_address = {"searxng": {"endpoint": f"{apis.address}/searxng"}}
        named = [{**own_address.get(str(one["name"]), {}), **one} for one in providers]
        domain.write_text(f"name: birds\nroots: [Q5113]\nproviders: {json.dumps(named)}\n")
        own = {
            "ENTITYFLOW_SEARCH_ENDPOINT": apis.address,
            "ENTITYFLOW_DOMAIN": str(domain),
            "ENTITYFLOW_SEARCHER_PATIENCE_SECONDS": "0",
            "ENTITYFLOW_SEARCHER_SWEEP_SECONDS": "0.2",
            "ENTITYFLOW_DRAIN_SECONDS": "1",
            **more,
        }
        command = [sys.executable, "-m", "entityflow.serve", "searcher"]
        processes.append(subprocess.Popen(command, env=environment(settings, **own), stderr=subprocess.DEVNULL))

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def publish(settings: Settings, count: int) -> None:
    queries = [
        Query(
            id=query_id("Q5113", "noun", f"bird{number}", "en"),
            entity_id="Q5113",
            text=f"bird{number}",
            lang="en",
            kind="noun",
            budget=60,
            providers=PROVIDERS,
        )
        for number in range(count)
    ]
    produce_all("test", settings, [Send("query", query) for query in queries], ["query"])


def offered(settings: Settings) -> Counter[str]:
    return Counter(record.provider for _, record in read_topic(settings, "url") if isinstance(record, Url))


def finished(settings: Settings, count: int) -> Callable[[], bool]:
    return lambda: sum(Admin(settings).committed("searcher", "query").values()) == count


def postponed(settings: Settings) -> list[str]:
    return [stored.key for stored in Objects(settings).list("postponed/")]


def test_a_cap_stops_one_provider_for_ever_and_no_other(
    settings: Settings, apis: Apis, start: Callable[..., None]
) -> None:
    publish(settings, 6)

    start({"name": "demo", "max_requests": 4}, {"name": "searxng", "max_pages": 1})
    eventually(finished(settings, 6))

    assert apis.asked == {"demo": 4, "searxng": 6}
    assert offered(settings) == {"demo": 4, "searxng": 6}
    assert postponed(settings) == [], "what is spent for ever is not asked for tomorrow"
    assert sum(json.loads(Objects(settings).get(s.key))["requests"] for s in Objects(settings).list("spending/")) == 4


def test_a_provider_that_asks_to_wait_until_later_is_asked_later_and_stops_no_other(
    settings: Settings, apis: Apis, start: Callable[..., None]
) -> None:
    apis.refusing = True
    publish(settings, 5)

    start({"name": "demo"}, {"name": "searxng", "max_pages": 1}, ENTITYFLOW_SEARCHER_CONCURRENCY="1")
    eventually(finished(settings, 5))

    assert offered(settings) == {"searxng": 5}
    assert len(postponed(settings)) == 5
    assert apis.asked["demo"] == 1, "nobody is asked who has said when to come back"


def test_what_was_postponed_comes_back_for_that_provider_alone(
    settings: Settings, apis: Apis, start: Callable[..., None]
) -> None:
    query = Query(
        id=query_id("Q5113", "noun", "owl", "en"),
        entity_id="Q5113",
        text="owl",
        lang="en",
        kind="noun",
        budget=60,
        providers=("demo",),
    )
    body = json.dumps({"why": "spent", "query": to_plain(query)}).encode()
    Objects(settings).ensure_bucket()
    Objects(settings).put(f"postponed/demo/{1:012d}-{query.id}.json", body)

    start({"name": "demo"}, {"name": "searxng"})
    eventually(finished(settings, 1))

    assert offered(settings) == {"demo": 1}
    eventually(lambda: not postponed(settings))
