"""The web client against servers with faults, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from entityflow.addresses import parse_address
from entityflow.errors import UsageError
from entityflow.http import FetchFailed, WebClient, open_session, user_agent
from entityflow.reach import Reach, load_reach
from entityflow.settings import Settings
from tests.fault_server import FaultServer, answer, dripping

BODY = bytes(range(256)) * 40


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
async def web(server: FaultServer) -> AsyncIterator[WebClient]:
    reach = Reach({"pics.test": ("127.0.0.1", server.port)}, contact="anna@example.org")
    async with open_session(reach) as session:
        yield WebClient(session, reach, timeout_seconds=1.0)


async def body_of(web: WebClient, url: str, max_bytes: int = 1 << 20) -> bytes:
    async with web.get(parse_address(url)) as response:
        return await response.body(max_bytes)


async def reason_of(web: WebClient, url: str, max_bytes: int = 1 << 20) -> tuple[str, bool]:
    with pytest.raises(FetchFailed) as failed:
        await body_of(web, url, max_bytes)
    return failed.value.reason, failed.value.transient


async def test_the_request_goes_out_as_it_is_spelled_and_says_who_asks(server: FaultServer, web: WebClient) -> None:
    server.on("/%3b%2d/a.jpg?x=a%2Bb+c", answer(BODY))

    assert await body_of(web, "http://Pics.TEST./%3b%2d/a.jpg?x=a%2Bb+c#top") == BODY

    (request,) = server.requests
    assert request.host == "pics.test"
    assert request.headers["user-agent"].startswith("entityflow/")
    assert request.headers["user-agent"].endswith("(+mailto:anna@example.org)")
    assert request.headers["accept-encoding"] == "identity"


async def test_a_body_without_length_ends_with_its_connection(server: FaultServer, web: WebClient) -> None:
    server.on("/a", b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\n" + BODY)

    assert await body_of(web, "http://pics.test/a") == BODY


async def test_fewer_bytes_than_promised_may_come_whole_another_time(server: FaultServer, web: WebClient) -> None:
    server.on("/length", answer(BODY[:5000], length=len(BODY)))
    server.on("/chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + BODY[:800])

    assert await reason_of(web, "http://pics.test/length") == ("incomplete-body", True)
    assert await reason_of(web, "http://pics.test/chunked") == ("incomplete-body", True)


async def test_long_headers_pass_and_endless_ones_are_refused(server: FaultServer, web: WebClient) -> None:
    server.on("/long", answer(BODY, "200 OK", "Content-Security-Policy: " + "x" * 16_000))
    server.on("/endless", answer(BODY, "200 OK", "X: " + "x" * 100_000))

    assert await body_of(web, "http://pics.test/long") == BODY
    assert await reason_of(web, "http://pics.test/endless") == ("bad-http", False)
    assert await body_of(web, "http://pics.test/long") == BODY


async def test_no_cookie_is_kept_and_a_strange_one_breaks_nothing(server: FaultServer, web: WebClient) -> None:
    server.on("/a", answer(BODY, "200 OK", "Set-Cookie: ISAWPLB{A7F5-2D}=x; path=/", "Set-Cookie: id=7"))

    await body_of(web, "http://pics.test/a")
    await body_of(web, "http://pics.test/a")

    assert all("cookie" not in request.headers for request in server.requests)


async def test_what_is_no_http_is_a_reason(server: FaultServer, web: WebClient) -> None:
    server.on("/a", b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    server.on("/b", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n")
    server.on("/c", b"")

    assert await reason_of(web, "http://pics.test/a") == ("bad-http", False)
    assert await reason_of(web, "http://pics.test/b") == ("bad-http", False)
    assert await reason_of(web, "http://pics.test/c") == ("connection-broken", True)


async def test_time_is_bounded_however_slowly_bytes_come(server: FaultServer, web: WebClient) -> None:
    server.on("/a", dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x", 0.1))

    assert await reason_of(web, "http://pics.test/a") == ("timeout", True)


async def test_a_body_that_trickles_is_given_up_before_the_time_is_over(
    server: FaultServer, web: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entityflow.http.SLOW_AFTER_SECONDS", 0.1)
    server.on("/a", dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.05))

    with pytest.raises(FetchFailed, match="bytes in") as failed:
        await body_of(web, "http://pics.test/a")

    assert (failed.value.reason, failed.value.transient) == ("timeout", True)


async def test_bytes_are_bounded_with_and_without_a_promise(server: FaultServer, web: WebClient) -> None:
    server.on("/promised", answer(BODY))
    server.on("/endless", dripping(b"HTTP/1.1 200 OK\r\n\r\n", BODY, 0.01))

    assert await reason_of(web, "http://pics.test/promised", 1000) == ("too-many-bytes", False)
    assert await reason_of(web, "http://pics.test/endless", 50_000) == ("too-many-bytes", False)


async def test_a_location_keeps_its_bytes(server: FaultServer, web: WebClient) -> None:
    server.on("/a", b"HTTP/1.1 302 Found\r\nLocation: /r\xf8d/\xc3\xa9%2d.jpg \r\nContent-Length: 0\r\n\r\n")

    async with web.get(parse_address("http://pics.test/a")) as response:
        assert response.location == "/r%F8d/%C3%A9%2d.jpg"
    assert len(server.requests) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost.", "10.1.2.3", "169.254.169.254", "[::1]"])
async def test_our_own_net_is_out_of_reach(server: FaultServer, web: WebClient, host: str) -> None:
    assert await reason_of(web, f"http://{host}:{server.port}/a") == ("private-address", False)
    assert server.requests == []


async def test_a_name_that_leads_into_our_own_net_is_refused_when_it_is_looked_up(server: FaultServer) -> None:
    reach = Reach({}, contact="anna@example.org")

    async with open_session(reach) as session:
        resolver = session.connector._resolver  # type: ignore[union-attr]
        with pytest.raises(OSError, match="leads to"):
            await resolver.resolve("localhost", server.port)


async def test_without_a_contact_only_servers_of_our_own_are_asked(server: FaultServer) -> None:
    reach = Reach({"pics.test": ("127.0.0.1", server.port)}, allow_loopback=True)
    server.on("/a", answer(BODY))

    async with open_session(reach) as session:
        web = WebClient(session, reach, timeout_seconds=1.0)
        assert await body_of(web, "http://pics.test/a") == BODY
        assert await body_of(web, server.url("/a")) == BODY
        assert await reason_of(web, "http://pics.example.org/a") == ("no-contact", False)
        assert await reason_of(web, "http://127.0.0.1:80/a") == ("private-address", False)


async def test_a_closed_port_may_open_another_time(web: WebClient) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    reach = Reach({"closed.test": ("127.0.0.1", port)}, contact="anna@example.org")

    async with open_session(reach) as session:
        closed = WebClient(session, reach, timeout_seconds=1.0)
        assert await reason_of(closed, "http://closed.test/a") == ("connection-failed", True)


def test_a_map_of_hosts_that_cannot_be_used_names_itself(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    for text in ("{", "[]", json.dumps({"pics.test": "elsewhere:80"})):
        path.write_text(text)
        with pytest.raises(UsageError, match="ENTITYFLOW_RESOLVE_FILE"):
            load_reach(Settings(resolve_file=path))


def test_a_contact_that_no_header_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="ENTITYFLOW_CONTACT"):
        user_agent("anna@example.org\r\nX: y")
    assert "(+https://lab.example/bot)" in user_agent("https://lab.example/bot")
