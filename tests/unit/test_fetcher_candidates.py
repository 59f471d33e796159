"""What becomes of a candidate, with visits that the tests write."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from entityflow.addresses import WebAddress, parse_address
from entityflow.http import FetchFailed
from entityflow.ids import image_id
from entityflow.pictures import BadPicture, StoredPicture
from entityflow.reasons import REASONS
from entityflow.records import Address, Image, License, Original, Outcome, Url
from entityflow.stage import Message, Received, Send
from entityflow.tombstones import Tombstones, tombstone_of
from services.fetcher.bad_hashes import BadHashes
from services.fetcher.bodies import ByteBudget, Lease
from services.fetcher.candidates import Candidates, Policy
from services.fetcher.known import KnownAddresses
from services.fetcher.lists import OperatorLists
from services.fetcher.politeness import HostDown, Parked
from services.fetcher.visits import Visit

ROOT = Path(__file__).parents[2]
NOW = 5000.0
POLICY = Policy(
    retry_seconds=(10, 60, 600),
    max_attempts=4,
    max_age_seconds=700,
    reason_days=30,
    permission_days=7,
    exhausted_days=1,
)
URL = Url(
    candidate_id="c",
    url_id=parse_address("http://a.example/1").url_id,
    address="http://a.example/1",
    query_id="q",
    entity_id="Q1",
    provider="demo",
)


class Web:
    """Answers visits from a list of scripts: a body, a target to move to, or what is raised or failed with."""

    def __init__(self) -> None:
        self.scripts: list[bytes | str | Exception] = []
        self.wait_seconds = 0.0
        self.visited: list[str] = []

    async def visit(self, address: WebAddress, hops: int, lease: Lease) -> Visit:
        self.visited.append(address.request)
        script = self.scripts.pop(0)
        visit = Visit(trail=[address], wait_seconds=self.wait_seconds)
        match script:
            case FetchFailed():
                visit.failure = script
            case Exception():
                raise script
            case bytes():
                visit.body = script
            case str():
                visit.moved_to = parse_address(script)
        return visit


NO_LISTS = OperatorLists()


class Bench:
    """A Candidates with everything around it, and what it sent before it returned."""

    def __init__(self, lists: OperatorLists = NO_LISTS) -> None:
        self.web = Web()
        self.known = KnownAddresses({}, lambda: NOW)
        self.tombstones = Tombstones()
        self.lists = lists
        self.sent: list[Send] = []
        self.decoded: list[bytes] = []
        self.candidates = Candidates(
            self.web,  # type: ignore[arg-type]
            self.known,
            self.tombstones,
            self.lists,
            BadHashes(frozenset((hashlib.sha1(b"bad").digest(),))),
            ByteBudget(1000),
            self._decode,
            self._send,
            POLICY,
            lambda: NOW,
        )

    def forget(self, kind: str, text: str) -> None:
        tombstone = tombstone_of(kind, text, at=NOW)
        self.tombstones.learn(tombstone.id, tombstone)

    async def _decode(self, data: bytes) -> StoredPicture:
        self.decoded.append(data)
        if data == b"junk":
            raise BadPicture("truncated")
        return StoredPicture(b"stored", "JPEG", 3, 2, Original(width=3, height=2, bytes=len(data), format="PNG"))

    async def _send(self, sends: Iterable[Send]) -> None:
        self.sent += sends

    async def step(
        self, *scripts: bytes | str | Exception, url: Url = URL, attempt: int = 0, key: str = "", waited: float = 0.0
    ) -> list[Send]:
        self.web.scripts = list(scripts)
        written = (key or parse_address(url.address).host_key).encode() if "://" in url.address else b"x"
        headers = {"attempt": b"%d" % attempt, "waited": f"{waited:g}".encode()}
        message = Message("url", 3, 9, written, b"", headers, 0, "uuid")
        return await self.candidates.step(Received(url, message))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def busy(reason: str = "server-error") -> FetchFailed:
    return FetchFailed(reason, transient=True)


def only(sends: list[Send]) -> Send:
    (send,) = sends
    return send


async def test_the_image_is_acknowledged_before_its_address_is_known(bench: Bench) -> None:
    assert await bench.step(b"bytes") == []

    image, address = bench.sent
    assert isinstance(image.record, Image)
    assert image.record.image_id == image_id(b"bytes")
    assert image.record.url_origin.offset == 9
    assert isinstance(address.record, Address)
    assert (address.record.url_id, address.partition) == (URL.url_id, 3)


async def test_each_try_waits_longer_until_the_last_gives_the_reason(bench: Bench) -> None:
    topics = []
    for attempt in range(3):
        send = only(await bench.step(busy(), attempt=attempt))
        topics.append((send.topic, send.attempt, send.key))
    last = only(await bench.step(busy(), attempt=3))

    assert topics == [
        ("url-retry-short", 1, "a.example"),
        ("url-retry-medium", 2, "a.example"),
        ("url-retry-long", 3, "a.example"),
    ]
    assert isinstance(last.record, Outcome)
    assert (last.record.result, last.record.entity_id) == ("server-error", "Q1")
    remembered = bench.known.find(URL.url_id)
    assert remembered is not None
    assert remembered.expires == NOW + 86_400


async def test_a_host_that_names_its_wait_is_given_it(bench: Bench) -> None:
    bench.web.wait_seconds = 61.0

    assert only(await bench.step(busy("throttled"))).topic == "url-retry-long"


async def test_parking_is_neither_an_attempt_nor_age(bench: Bench) -> None:
    send = only(await bench.step(Parked(1), attempt=2, waited=70.0))

    assert (send.topic, send.attempt, send.waited, send.record) == ("url-retry-medium", 2, 70.0, URL)


async def test_what_was_waited_after_failed_attempts_adds_up(bench: Bench) -> None:
    assert only(await bench.step(busy())).waited == 10
    assert only(await bench.step(busy(), attempt=1, waited=10)).waited == 70


async def test_a_candidate_that_has_grown_too_old_ends_with_its_last_reason(bench: Bench) -> None:
    assert only(await bench.step(busy(), attempt=2, waited=100)).topic == "url-retry-long"

    send = only(await bench.step(busy(), attempt=2, waited=101))

    assert isinstance(send.record, Outcome)
    assert send.record.result == "server-error"


@pytest.mark.parametrize("text", [b"", b"x", b"-1", b"inf", b"nan", b"\xff"])
def test_an_age_that_makes_no_sense_is_none(text: bytes) -> None:
    assert Message("url", 0, 0, None, b"", {"waited": text}, 0, "uuid").waited == 0.0


async def test_a_host_that_is_down_counts_as_an_attempt(bench: Bench) -> None:
    assert only(await bench.step(HostDown("dns-failure"), attempt=0)).attempt == 1
    assert only(await bench.step(HostDown("dns-failure"), attempt=3)).topic == "outcome"


async def test_another_host_gets_the_candidate_under_its_key_and_ids_stay(bench: Bench) -> None:
    send = only(await bench.step("http://b.example/2"))

    assert (send.topic, send.key) == ("url", "b.example")
    assert send.record == replace(URL, address="http://b.example/2", hop=1, tried=("http://a.example/1",))
    again = only(await bench.step())
    assert again == send
    assert len(bench.web.visited) == 1


async def test_a_circle_over_hosts_ends(bench: Bench) -> None:
    send = only(await bench.step("http://b.example/2"))
    assert isinstance(send.record, Url)

    back = only(await bench.step("http://a.example/1", url=send.record))

    assert isinstance(back.record, Outcome)
    assert back.record.result == "redirect-loop"


async def test_the_next_alternate_follows_what_failed_for_good(bench: Bench) -> None:
    url = replace(URL, alternates=("data:x", "http://a.example/1", "http://b.example/2", "http://c.example/3"))

    send = only(await bench.step(b"junk", url=url))

    assert send.key == "b.example"
    assert isinstance(send.record, Url)
    assert (send.record.alternates, send.record.tried) == (("http://c.example/3",), ("http://a.example/1",))
    assert (send.record.candidate_id, send.record.url_id) == (URL.candidate_id, URL.url_id)


async def test_an_address_that_is_none_goes_on_with_its_alternates(bench: Bench) -> None:
    url = replace(
        URL, address="data:image/gif;base64,AA", page_url="https://n.example/p", alternates=("//b.example/2",)
    )

    send = only(await bench.step(url=url))
    end = only(await bench.step(url=replace(url, alternates=())))

    assert isinstance(send.record, Url)
    assert send.record.address == "https://b.example/2"
    assert isinstance(end.record, Outcome)
    assert end.record.result == "not-web"


async def test_a_known_reason_ends_a_candidate_until_it_expires(bench: Bench) -> None:
    bench.known.learn(URL.url_id, Address(url_id=URL.url_id, reason="not-found", expires=NOW + 1), 3)
    known = only(await bench.step())
    bench.known.learn(URL.url_id, Address(url_id=URL.url_id, reason="not-found", expires=NOW), 3)

    assert isinstance(known.record, Outcome)
    assert known.record.result == "not-found"
    assert await bench.step(b"bytes") == []
    assert len(bench.web.visited) == 1


async def test_what_a_setting_would_change_is_not_remembered(bench: Bench) -> None:
    end = only(await bench.step(FetchFailed("no-contact")))

    assert isinstance(end.record, Outcome)
    assert bench.sent == []


async def test_a_candidate_under_a_foreign_key_goes_to_the_owner_of_its_host(bench: Bench) -> None:
    send = only(await bench.step(key="elsewhere", attempt=2))

    assert (send.topic, send.key, send.attempt) == ("url", "a.example", 2)
    assert bench.web.visited == []


def test_every_reason_that_the_fetcher_can_give_is_documented() -> None:
    files = [*(ROOT / "services/fetcher").glob("*.py"), *(ROOT / "entityflow").glob("*.py")]
    errors = ("FetchFailed", "BadPicture", "BadAddress", "Judgement", "ChildLost")

    used = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in errors
            and node.args
            and not isinstance(node.args[0], ast.Subscript)
        ):
            used |= {part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)}
    words = {word for word in used if isinstance(word, str) and word}

    assert len(words) > 25
    assert words <= set(REASONS)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("url", URL.address), ("host", "a.example"), ("page", "http://blog.example/1"), ("url", "http://before.example/")],
)
async def test_what_is_forgotten_is_refused_without_a_request_and_without_naming_it(bench, kind, text):
    bench.forget(kind, text)

    (send,) = await bench.step(
        url=replace(
            URL,
            page_url="http://blog.example/1",
            alternates=("http://b.example/2",),
            tried=("http://before.example/",),
        )
    )

    assert (send.topic, send.record.result, send.record.address, send.record.host) == (
        "outcome",
        "forgotten",
        None,
        None,
    )
    assert bench.web.visited == []
    assert bench.sent == []


async def test_a_forgotten_picture_goes_no_further_than_its_download(bench):
    bench.forget("sha256", image_id(b"body"))

    sends = await bench.step(b"body")

    assert [send.record.result for send in sends if send.topic == "outcome"] == ["forgotten"]
    assert bench.sent == []


async def test_a_forgotten_picture_of_a_known_address_gives_no_sighting(bench):
    bench.known.learn(URL.url_id, Address(url_id=URL.url_id, image_id=image_id(b"body")), 3)
    bench.forget("sha256", image_id(b"body"))

    (send,) = await bench.step()

    assert send.record.result == "forgotten"
    assert bench.web.visited == []


async def test_a_denied_host_gives_no_sighting_and_is_not_remembered_for_it() -> None:
    bench = Bench(OperatorLists(denied_hosts=frozenset(("a.example",))))
    bench.known.learn(URL.url_id, Address(url_id=URL.url_id, image_id=image_id(b"body")), 3)

    ended = only(await bench.step())

    assert isinstance(ended.record, Outcome)
    assert ended.record.result == "host-denied"
    assert bench.sent == []


async def test_a_licence_is_of_the_candidate_and_not_of_its_address() -> None:
    bench = Bench(OperatorLists(licenses=frozenset(("by",))))

    refused = only(await bench.step(url=replace(URL, license=License(id="CC BY-NC 4.0"))))
    taken = await bench.step(b"body", url=replace(URL, license=License(id="CC BY 4.0")))

    assert isinstance(refused.record, Outcome)
    assert refused.record.result == "license-refused"
    assert taken == []
    assert [send.topic for send in bench.sent] == ["image", "address"]


async def test_of_a_known_bad_picture_an_id_is_kept_and_no_byte(bench: Bench) -> None:
    ended = only(await bench.step(b"bad"))

    assert isinstance(ended.record, Outcome)
    assert (ended.record.result, ended.record.image_id) == ("known-bad", image_id(b"bad"))
    assert [send.topic for send in bench.sent] == ["address"]
    assert bench.decoded == []
