"""Visits to real servers: robots.txt, redirects, permission, throttling; what is asked, and what is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from entityflow.addresses import WebAddress, parse_address
from entityflow.http import WebClient, open_session
from entityflow.reach import Reach
from services.fetcher.bodies import ByteBudget
from services.fetcher.pace import Terms
from services.fetcher.politeness import Hosts, Parked, Patience
from services.fetcher.robots_cache import RobotsCache
from services.fetcher.visits import Visit, VisitLimits, Visitor
from tests.fault_server import SIGNALS, FaultServer, answer, moved

PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8
DENY_ALL = answer(b"User-agent: *\nDisallow: /")
HOSTS = ("pics.test", "cdn.test", "images.pics.test")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def known() -> set[str]:
    return set()


@pytest.fixture
async def visitor(server: FaultServer, known: set[str]) -> AsyncIterator[Visitor]:
    reach = Reach(dict.fromkeys(HOSTS, ("127.0.0.1", server.port)), contact="anna@example.org", allow_loopback=True)
    patience = Patience(tier_seconds=(1, 10, 100), park_seconds=2, backoff_seconds=30, max_backoff_seconds=300)
    async with open_session(reach) as session:
        web = WebClient(session, reach, timeout_seconds=2.0)
        yield Visitor(
            web,
            Hosts(patience, time.time),
            RobotsCache(web, time.time, seconds=1000, unavailable_seconds=0.0),
            VisitLimits(Terms(0.0), Terms(0.0), max_bytes=1 << 20, max_hops=3),
            time.time,
            lambda address: address.request in known,
        )


async def visit(visitor: Visitor, url: str | WebAddress) -> Visit:
    address = parse_address(url) if isinstance(url, str) else url
    async with ByteBudget(1 << 20).lease() as lease:
        return await visitor.visit(address, 0, lease)


def reason(visited: Visit) -> str | None:
    return visited.failure.reason if visited.failure else None


async def test_robots_txt_is_asked_once_and_obeyed(server: FaultServer, visitor: Visitor) -> None:
    server.on("/robots.txt", answer(b"User-agent: *\nDisallow: /private"))
    server.on("/a", answer(PICTURE))

    visits = await asyncio.gather(*(visit(visitor, f"http://pics.test/{name}") for name in ("a", "private/b", "a")))

    assert [reason(one) for one in visits] == [None, "robots-denied", None]
    assert "robots.txt: allowed" in visits[0].evidence
    assert [request.target for request in server.requests] == [*SIGNALS, "/a", "/a"]


async def test_each_host_has_its_own_robots_txt(server: FaultServer, visitor: Visitor) -> None:
    server.on("pics.test/robots.txt", DENY_ALL)
    server.on("/a", answer(PICTURE))

    assert reason(await visit(visitor, "http://pics.test/a")) == "robots-denied"
    assert reason(await visit(visitor, "http://images.pics.test/a")) is None


async def test_a_robots_txt_behind_redirects_counts(server: FaultServer, visitor: Visitor) -> None:
    server.on("pics.test/robots.txt", moved("http://cdn.test/real.txt"))
    server.on("cdn.test/real.txt", DENY_ALL)

    assert reason(await visit(visitor, "http://pics.test/a")) == "robots-denied"


async def test_a_robots_txt_in_trouble_is_asked_again_and_forbids_until_then(
    server: FaultServer, visitor: Visitor
) -> None:
    server.on("/robots.txt", answer(b"<html>busy", "502 Bad Gateway"), answer(b"", "404 Not Found"))
    server.on("/a", answer(PICTURE))

    first = await visit(visitor, "http://pics.test/a")
    assert reason(first) == "robots-unavailable"
    assert first.failure is not None
    assert first.failure.transient
    assert server.asked() == []
    with pytest.raises(Parked):
        await visit(visitor, "http://pics.test/a")


async def test_redirects_within_a_host_are_followed_each_checked(server: FaultServer, visitor: Visitor) -> None:
    server.on("/robots.txt", answer(b"User-agent: *\nDisallow: /private"))
    server.on("/a", moved("b?x=%2F"))
    server.on("/b?x=%2F", answer(PICTURE))
    server.on("/c", moved("/private/d"))

    good, bad = await visit(visitor, "http://pics.test/a"), await visit(visitor, "http://pics.test/c")

    assert good.body == PICTURE
    assert [address.target for address in good.trail] == ["/a", "/b?x=%2F"]
    assert reason(bad) == "robots-denied"
    assert "/private/d" not in server.asked()


async def test_a_redirect_to_another_host_is_left_to_its_owner(server: FaultServer, visitor: Visitor) -> None:
    server.on("/a", moved("http://cdn.test/a"))

    visited = await visit(visitor, "http://pics.test/a")

    assert visited.moved_to is not None
    assert visited.moved_to.request == "http://cdn.test/a"
    assert server.asked("cdn.test") == []


async def test_a_redirect_to_a_known_address_ends_the_visit(
    server: FaultServer, visitor: Visitor, known: set[str]
) -> None:
    known.add("http://pics.test/b")
    server.on("/a", moved("/b"))

    visited = await visit(visitor, "http://pics.test/a")

    assert visited.moved_to is not None
    assert server.asked() == ["/a"]


@pytest.mark.parametrize(
    ("locations", "expected"),
    [
        (["/b", "/a"], "redirect-loop"),
        (["/b", "/c", "/d", "/e"], "too-many-redirects"),
        (["ftp://pics.test/a"], "bad-redirect"),
        (["http://"], "bad-redirect"),
        (["http://10.0.0.1/a"], "private-address"),
        (["http://127.0.0.1:{port}/a"], "private-address"),
        (["http://169.254.169.254/latest/"], "private-address"),
    ],
)
async def test_redirects_that_lead_nowhere_end(
    server: FaultServer, visitor: Visitor, locations: list[str], expected: str
) -> None:
    if "{port}" in locations[0]:
        visitor._web.reach = Reach(visitor._web.reach.mapped, "anna@example.org")
    for name, location in zip("abcde", locations, strict=False):
        server.on(f"/{name}", moved(location.format(port=server.port)))

    visited = await visit(visitor, "http://pics.test/a")

    assert reason(visited) == expected
    assert visited.failure is not None
    assert not visited.failure.transient


async def test_an_opt_out_ends_the_visit_before_the_body(server: FaultServer, visitor: Visitor) -> None:
    server.on("/a", answer(PICTURE, "200 OK", "X-Robots-Tag: otherbot: all", "X-Robots-Tag: noimageai"))
    server.on("/b", answer(PICTURE, "200 OK", "TDM-Reservation: 1"))

    refused, reserved = await visit(visitor, "http://pics.test/a"), await visit(visitor, "http://pics.test/b")

    assert (reason(refused), reason(reserved)) == ("opted-out", "tdm-reserved")
    assert refused.body is None
    assert "x-robots-tag: noimageai" in refused.evidence


async def test_a_host_that_asks_for_patience_is_written_down_and_left_alone(
    server: FaultServer, visitor: Visitor
) -> None:
    server.on("/a", answer(b"", "429 Too Many Requests", "Retry-After: 77"))

    visited = await visit(visitor, "http://pics.test/a")

    assert reason(visited) == "throttled"
    assert visited.host is not None
    assert visited.host.failures == 1
    assert 76 < visited.wait_seconds <= 77
    with pytest.raises(Parked):
        await visit(visitor, "http://pics.test/b")
    assert server.asked() == ["/a"]


@pytest.mark.parametrize(
    ("status", "expected", "transient"),
    [
        ("404 Not Found", "not-found", False),
        ("410 Gone", "not-found", False),
        ("403 Forbidden", "forbidden", False),
        ("451 Legal", "forbidden", False),
        ("400 Bad Request", "client-error", False),
        ("500 Oops", "server-error", True),
        ("408 Slow", "server-error", True),
        ("204 No Content", "empty", False),
        ("200 OK", "empty", False),
        ("304 Not Modified", "client-error", False),
        ("302 Found", "bad-redirect", False),
    ],
)
async def test_a_status_means_to_end_or_to_try_again(
    server: FaultServer, visitor: Visitor, status: str, expected: str, transient: bool
) -> None:
    server.on("/a", answer(b"", status))

    visited = await visit(visitor, "http://pics.test/a")

    assert visited.failure is not None
    assert (visited.failure.reason, visited.failure.transient) == (expected, transient)


async def test_one_host_gets_one_request_at_a_time(server: FaultServer, visitor: Visitor) -> None:
    for n in range(12):
        server.on(f"/{n}", answer(PICTURE))

    visits = await asyncio.gather(*(visit(visitor, f"http://{HOSTS[n % 3]}/{n}") for n in range(12)))

    assert all(one.body == PICTURE for one in visits)
    assert set(server.most_at_once.values()) == {1}


async def test_a_reserved_site_is_asked_once_and_its_pictures_are_not_taken(
    server: FaultServer, visitor: Visitor
) -> None:
    rules = b'[{"location": "/", "tdm-reservation": 1}, {"location": "/free/*", "tdm-reservation": 0}]'
    server.on("/.well-known/tdmrep.json", answer(rules))
    server.on("/a", answer(PICTURE))
    server.on("/b", answer(PICTURE, "200 OK", "TDM-Reservation: 0"))
    server.on("/free/c", answer(PICTURE))

    visits = [await visit(visitor, f"http://pics.test/{name}") for name in ("a", "b", "free/c")]

    assert [reason(one) for one in visits] == ["tdm-reserved", None, None]
    assert "tdmrep.json: /: 1" in visits[0].evidence
    assert "tdmrep.json: /free/*: 0" in visits[2].evidence
    assert [request.target for request in server.requests].count("/.well-known/tdmrep.json") == 1


async def test_a_site_that_asks_for_patience_over_its_reservation_gets_it(
    server: FaultServer, visitor: Visitor
) -> None:
    server.on("/.well-known/tdmrep.json", answer(b"", "429 Too Many Requests", "Retry-After: 60"))
    server.on("/a", answer(PICTURE))

    first = await visit(visitor, "http://pics.test/a")

    assert reason(first) == "throttled"
    assert first.wait_seconds > 50
    assert server.asked() == []
    with pytest.raises(Parked):
        await visit(visitor, "http://pics.test/a")
