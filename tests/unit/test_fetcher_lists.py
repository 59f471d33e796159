"""The operator's lists: denied hosts, opt-outs, licences; and the opt-out service."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from entityflow.addresses import parse_address
from entityflow.errors import Retryable, UsageError
from entityflow.records import License
from services.fetcher.bad_hashes import BadHashes, load_digests
from services.fetcher.lists import OperatorLists, license_name, load_lists
from services.fetcher.permission import Judgement
from services.fetcher.questions import BAD_HASHES, MAX_KEYS, OPT_OUT, Questions, Unanswered


def lists(tmp_path: Path, denied: str = "", opted: str = "", licenses: tuple[str, ...] = ()) -> OperatorLists:
    (tmp_path / "denied").write_text(denied)
    (tmp_path / "opted").write_text(opted)
    return load_lists(
        denied_hosts=("Spam.example.",),
        denied_hosts_file=tmp_path / "denied",
        opt_out_file=tmp_path / "opted",
        licenses=licenses,
    )


def refused(of: OperatorLists, url: str) -> str | None:
    found = of.refusal(parse_address(url))
    return found.reason if found else None


def test_a_denied_host_covers_its_subdomains_and_no_namesakes(tmp_path: Path) -> None:
    given = lists(tmp_path, denied="# spam\nbad.example   # since May\n\n10.0.0.7\n")

    assert refused(given, "http://a.b.bad.example:8080/x.jpg") == "host-denied"
    assert refused(given, "http://spam.example/x.jpg") == "host-denied"
    assert refused(given, "http://10.0.0.7/x.jpg") == "host-denied"
    assert refused(given, "http://notbad.example/x.jpg") is None
    assert refused(given, "http://bad.example.org/x.jpg") is None


def test_an_opt_out_is_of_a_host_an_address_or_all_below_one(tmp_path: Path) -> None:
    given = lists(
        tmp_path, opted="painter.example\nhttp://pics.example/%7Eann/a.jpg?utm_source=x\nhttps://pics.example/bob/*\n"
    )

    assert refused(given, "https://www.painter.example/a.jpg") == "opted-out"
    assert refused(given, "http://pics.example/~ann/a.jpg") == "opted-out"
    assert refused(given, "http://pics.example/~ann/b.jpg") is None
    assert refused(given, "https://pics.example/bob/deep/a.jpg") == "opted-out"
    assert refused(given, "http://pics.example/bob/a.jpg") is None


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"line 2: 'ftp://x\.example/'"):
        lists(tmp_path, opted="good.example\nftp://x.example/\n")
    with pytest.raises(UsageError, match="DENIED_HOSTS_FILE"):
        load_lists(denied_hosts=(), denied_hosts_file=tmp_path / "none", opt_out_file=None, licenses=())


@pytest.mark.parametrize(
    ("license_", "name"),
    [
        (License(id="by-sa"), "by-sa"),
        (License(id="CC BY-SA 4.0"), "by-sa"),
        (License(id="cc-by-sa-3.0"), "by-sa"),
        (License(id="CC0"), "cc0"),
        (License(id="CC0 1.0"), "cc0"),
        (License(id="Public domain"), "pdm"),
        (License(url="https://creativecommons.org/licenses/by-nc/2.0/"), "by-nc"),
        (License(url="http://creativecommons.org/publicdomain/zero/1.0/"), "cc0"),
        (License(url="https://creativecommons.org/publicdomain/mark/1.0/"), "pdm"),
        (License(id="CC BY 2.0", url="https://creativecommons.org/licenses/by/2.0/"), "by"),
        (License(), ""),
        (None, ""),
    ],
)
def test_a_licence_has_one_name_in_all_its_spellings(license_: License | None, name: str) -> None:
    assert license_name(license_) == name


def test_with_a_list_of_licences_only_those_are_taken(tmp_path: Path) -> None:
    given = lists(tmp_path, licenses=("CC BY 4.0", "cc0"))

    assert given.license_refusal(License(id="by")) is None
    assert given.license_refusal(License(id="cc0")) is None
    assert given.license_refusal(License(id="by-nc")) == Judgement("license-refused", ("licence: by-nc",))
    assert given.license_refusal(None) == Judgement("license-refused", ("licence: none given",))
    assert OperatorLists().license_refusal(None) is None


class Service:
    """Answers as an opt-out service; `gone` are the addresses whose owners opted out."""

    def __init__(self, *gone: str, away: bool = False) -> None:
        self.gone, self.away = gone, away
        self.calls: list[list[str]] = []

    async def __call__(self, body: bytes) -> bytes:
        urls = body.decode().split("\n")
        self.calls.append(urls)
        if self.away:
            raise Retryable("service-away", "503")
        return json.dumps(
            {"urls": [{"url": url, "optOut": url in self.gone} for url in urls if "left" not in url]}
        ).encode()


async def test_many_addresses_are_asked_in_one_request() -> None:
    service = Service("http://p.example/7")
    questions = Questions(service, OPT_OUT)

    said = await asyncio.gather(*(questions.ask(f"http://p.example/{n}") for n in range(1500)))

    assert [n for n, out in enumerate(said) if out] == [7]
    assert [len(urls) for urls in service.calls] == [MAX_KEYS, 500]


@pytest.mark.parametrize(("service", "key"), [(Service(away=True), "http://p.example/a"), (Service(), "left out")])
async def test_without_an_answer_nothing_is_said(service: Service, key: str) -> None:
    with pytest.raises(Unanswered):
        await Questions(service, OPT_OUT).ask(key)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"urls": 3}', b'{"urls": [{"url": "x"}]}', b"\xff"])
def test_a_strange_answer_says_nothing(body: bytes) -> None:
    assert OPT_OUT.parse(body) == {}


async def test_a_bad_picture_is_known_by_any_of_its_hashes(tmp_path: Path) -> None:
    bodies = (b"one", b"two", b"three")
    words = [hashlib.new(name, body).hexdigest() for name, body in zip(("md5", "sha1", "sha256"), bodies, strict=True)]
    (tmp_path / "bad").write_text(f"# list of May\n{words[0].upper()} remark\n\n{words[1]}\n{words[2]}\n")

    bad = BadHashes(load_digests(tmp_path / "bad"))

    assert [await bad.holds(body, "-") for body in (*bodies, b"four")] == [True, True, True, False]


async def test_a_service_of_bad_hashes_is_asked_by_sha256() -> None:
    async def post(body: bytes) -> bytes:
        return json.dumps(
            {"hashes": [{"hash": key, "match": key == "b" * 64} for key in body.decode().split()]}
        ).encode()

    bad = BadHashes(service=Questions(post, BAD_HASHES))

    assert await bad.holds(b"", "b" * 64)
    assert not await bad.holds(b"", "c" * 64)


def test_a_hash_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("# ok\nabc\n")

    with pytest.raises(UsageError, match="line 2: 'abc'"):
        load_digests(tmp_path / "bad")
