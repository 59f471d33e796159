"""One provider's client against a server on loopback that behaves as providers do on bad days."""

from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate

import pytest
from aiohttp import web

from entityflow.errors import Rejected, Retryable, UserError
from entityflow.http import WebClient, open_session
from entityflow.providers import provider_table
from entityflow.reach import Reach
from services.searcher.client import HttpProvider, Unavailable
from services.searcher.paging import collect_hits
from services.searcher.providers import Page, PageTooDeep, Request
from tests.integration.loopback import serving

NOW = 1_764_000_000.0
SECRET = "hush-hush"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Server:
    """Answers in turn; the last answer goes on."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.requests: list[web.BaseRequest] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        now = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=now.status, body=now.body, headers=now.headers)


@pytest.fixture
def server() -> Iterator[Server]:
    running, app = Server(), web.Application()
    app.router.add_get("/{tail:.*}", running.answer)
    with serving(app) as address:
        running.address = address  # type: ignore[attr-defined]
        yield running


@pytest.fixture
async def client() -> AsyncIterator[WebClient]:
    reach = Reach({}, contact="", allow_loopback=True)
    async with open_session(reach) as session:
        yield WebClient(session, reach, timeout_seconds=2.0)


def provider(server: Server, client: WebClient, name: str = "flickr", clock: Clock | None = None) -> HttpProvider:
    endpoint = f"{server.address}/rest"  # type: ignore[attr-defined]
    return HttpProvider(provider_table(name), endpoint, {"FLICKR_KEY": SECRET}, client, 1 << 20, clock=clock or Clock())


def request(page: int = 1) -> Request:
    return Request("heron", (), (), "en", page, 20)


def photos(*numbers: int, pages: int = 1) -> web.Response:
    found = [{"id": str(n), "owner": "o", "url_l": f"http://p.test/{n}.jpg", "title": f"heron {n}"} for n in numbers]
    return web.json_response({"stat": "ok", "photos": {"pages": pages, "total": 60, "photo": found}})


async def test_pages_are_read_to_the_last_an_empty_one_between_them_is_not_the_end(
    server: Server, client: WebClient
) -> None:
    server.answers = [photos(1, 2, pages=3), photos(pages=3), photos(3, pages=3)]
    flickr = provider(server, client)

    async def ask(number: int, _cursor: str | None) -> Page:
        return flickr.read(await flickr.ask(request(number)))

    hits = await collect_hits(ask, budget=60, max_pages=16, per_page=20)

    assert [hit.title for hit in hits] == ["heron 1", "heron 2", "heron 3"]
    assert [sent.query["page"] for sent in server.requests] == ["1", "2", "3"]
    assert server.requests[0].query["api_key"] == SECRET


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("900", 900.0), (formatdate(NOW + 600, usegmt=True), 600.0), ("soon", 1.0), ("-5", 1.0), ("", 1.0)],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_kept_whether_seconds_or_a_date(
    server: Server, client: WebClient, status: int, said: str, seconds: float
) -> None:
    clock = Clock()
    server.answers = [web.Response(status=status, text="<html>slow down</html>", headers={"Retry-After": said})]
    flickr = provider(server, client, clock=clock)
    with pytest.raises((Retryable, Unavailable)):
        await flickr.ask(request())

    clock.now = NOW + seconds - 1e6
    with pytest.raises(Unavailable) as caught:
        await flickr.ask(request())

    assert caught.value.until == pytest.approx(NOW + seconds)


async def test_a_long_wait_is_not_waited_for_and_nothing_is_asked_meanwhile(server: Server, client: WebClient) -> None:
    server.answers = [web.Response(status=429, headers={"Retry-After": "7200"})]
    flickr = provider(server, client)

    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            await flickr.ask(request())
        assert caught.value.until == NOW + 7200

    assert len(server.requests) == 1


async def test_payment_required_is_a_quota_that_is_used_up(server: Server, client: WebClient) -> None:
    server.answers = [web.Response(status=402, text="credits used up")]

    with pytest.raises(Unavailable) as caught:
        await provider(server, client).ask(request())

    assert caught.value.until == NOW + 3600


@pytest.mark.parametrize(
    ("answer", "page", "error"),
    [
        (web.Response(status=500), 1, Retryable),
        (web.Response(status=408), 1, Retryable),
        (web.Response(status=200, text='{"stat": "ok", "photos": {"pho'), 1, Retryable),
        (web.Response(status=200, text="<html>maintenance</html>"), 1, Retryable),
        (web.json_response({"stat": "fail", "code": 105, "message": "Service currently unavailable"}), 1, Retryable),
        (web.Response(status=400, text="no such thing"), 1, Rejected),
        (web.json_response({"stat": "fail", "code": 3, "message": "Parameterless searches"}), 1, Rejected),
        (web.json_response({"stat": "ok", "pictures": []}), 1, Rejected),
        (web.Response(status=400), 17, PageTooDeep),
        (web.Response(status=404), 17, PageTooDeep),
        (web.Response(status=404), 1, UserError),
        (web.Response(status=401), 1, UserError),
        (web.Response(status=301, headers={"Location": "/elsewhere"}), 1, UserError),
        (web.json_response({"stat": "fail", "code": 100, "message": f"Invalid API Key {SECRET}"}), 1, UserError),
    ],
)
async def test_every_bad_answer_is_what_it_means_and_tells_no_secret(
    server: Server, client: WebClient, answer: web.Response, page: int, error: type[Exception]
) -> None:
    server.answers = [answer]

    with pytest.raises(error) as caught:
        await provider(server, client).ask(request(page))

    assert SECRET not in str(caught.value)


async def test_a_server_that_quotes_the_key_does_not_make_us_tell_it(server: Server, client: WebClient) -> None:
    server.answers = [web.Response(status=403, text=f"key {SECRET} is not valid")]

    with pytest.raises(UserError, match=r"key \*\*\* is not valid"):
        await provider(server, client).ask(request())


async def test_nobody_there_is_away_for_now(server: Server, client: WebClient) -> None:
    gone = HttpProvider(provider_table("demo"), "http://127.0.0.1:65001/search", {}, client, 1 << 20)

    with pytest.raises(Retryable):
        await gone.ask(request())


async def test_a_host_beyond_loopback_is_not_asked_without_a_contact(client: WebClient) -> None:
    table = provider_table("openverse")

    with pytest.raises(UserError) as caught:
        await HttpProvider(table, "http://192.0.2.1/v1/", {}, client, 1 << 20).ask(request())

    assert "ENTITYFLOW_CONTACT" in (caught.value.hint or "")


async def test_an_endpoint_that_is_no_address_names_the_provider(client: WebClient) -> None:
    with pytest.raises(UserError, match="provider demo: its endpoint 'ftp:/x' is no address"):
        await HttpProvider(provider_table("demo"), "ftp:/x", {}, client, 1).ask(request())
