"""The operator's lists: denied hosts, opt-outs, licences; and the opt-out service."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from entityflow.addresses import parse_address
from entityflow.errors import Retryable, UsageError
from entityflow.http import FetchFailed
from entityflow.records import License
from services.fetcher.lists import OperatorLists, license_name, load_lists
from services.fetcher.opt_out import MAX_ADDRESSES, OptOutService, parse_answer
from services.fetcher.permission import Judgement


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
    asking = OptOutService(service)

    said = await asyncio.gather(*(asking.opted_out(parse_address(f"http://p.example/{n}")) for n in range(1500)))

    assert [n for n, out in enumerate(said) if out] == [7]
    assert [len(urls) for urls in service.calls] == [MAX_ADDRESSES, 500]


@pytest.mark.parametrize(
    ("service", "url"), [(Service(away=True), "http://p.example/a"), (Service(), "http://p.example/left")]
)
async def test_without_an_answer_nothing_is_allowed(service: Service, url: str) -> None:
    with pytest.raises(FetchFailed) as failed:
        await OptOutService(service).opted_out(parse_address(url))

    assert (failed.value.reason, failed.value.transient) == ("opt-out-unknown", True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"urls": 3}', b'{"urls": [{"url": "x"}]}', b"\xff"])
def test_a_strange_answer_says_nothing(body: bytes) -> None:
    assert parse_answer(body) == {}
