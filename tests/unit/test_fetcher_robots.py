"""What a robots.txt says to us, whatever its bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.addresses import parse_address
from services.fetcher.robots import MAX_CRAWL_DELAY_SECONDS, MAX_ROBOTS_BYTES, parse_robots, robots_of_answer

ALL = b"User-agent: *\n"


def allows(body: bytes, target: str) -> bool:
    return parse_robots(body).allows(parse_address("http://pics.example" + target))


def refusal(body: bytes, target: str = "/a.jpg") -> str | None:
    return parse_robots(body).ai_refusal(parse_address("http://pics.example" + target))


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbfUser-agent: *\nDisallow: /",
        "User-agent: *\nDisallow: /".encode("utf-16"),
        b"User-agent: *\rDisallow: /\r",
        b"User-agent: *\r\nDisallow: /\r\n",
        b"# caf\xe9\nUser-agent: *\n# \xff\xfe\nDisallow: /",
        b"USER-AGENT:*\ndisallow:/ # all",
        b"User-agent: *\n\n\nDisallow: /",
    ],
    ids=["utf-8 mark", "utf-16", "CR", "CRLF", "Latin-1", "capitals", "blank lines"],
)
def test_the_form_of_the_file_does_not_change_its_rules(body: bytes) -> None:
    assert not allows(body, "/a.png")


@pytest.mark.parametrize(
    ("body", "target", "expected"),
    [
        (b"User-agent: entityflow\nDisallow: /x\n\nUser-agent: *\nDisallow: /", "/y", True),
        (b"User-agent: *\nDisallow: /y\nUser-agent: entityflow\nDisallow: /x", "/x", False),
        (b"User-agent: EntityFlow/3.1\nDisallow: /", "/x", False),
        (b"User-agent: entity\nDisallow: /", "/x", True),
        (b"User-agent: entityflow-news\nDisallow: /", "/x", True),
        (b"User-agent: entityflow2\nDisallow: /", "/x", True),
        (b"User-agent: a\nUser-agent: entityflow\nDisallow: /", "/x", False),
        (
            b"User-agent: entityflow\nDisallow: /x\nUser-agent: b\nDisallow: /\nUser-agent: entityflow\nDisallow: /y",
            "/y",
            False,
        ),
        (b"User-agent: entityflow\nDisallow:\n\nUser-agent: *\nDisallow: /", "/x", True),
        (b"Disallow: /\nUser-agent: *\nDisallow: /x", "/y", True),
        (b"User-agent: *\nSitemap: http://pics.example/map\nDisallow: /x", "/x", False),
    ],
)
def test_our_groups_are_merged_and_the_others_do_not_bind_us(body: bytes, target: str, expected: bool) -> None:
    assert allows(body, target) is expected


@pytest.mark.parametrize(
    ("rules", "target", "expected"),
    [
        (b"Disallow: */thumbs", "/thumbs/a", False),
        (b"Disallow: */thumbs", "/a/thumbs/b", False),
        (b"Disallow: /*.gif$", "/a.gif", False),
        (b"Disallow: /*.gif$", "/a.gif?x", True),
        (b"Disallow: /a\nAllow: /a", "/a", True),
        (b"Disallow: /\nAllow: /ok", "/ok/a", True),
        (b"Disallow: /%7Eanna/", "/~anna/a", False),
        (b"Disallow: /~anna/", "/%7eanna/a", False),
        (b"Disallow: /a%2fb", "/a/b", True),
        (b"Disallow: /a%2fb", "/a%2Fb", False),
        ("Disallow: /é".encode(), "/%c3%a9", False),
        (b"Disallow: /priv\xe9/", "/priv%E9/a", False),
        ("Disallow: /x\u2028y".encode(), "/x", True),
    ],
)
def test_paths_match_as_rfc_9309_says(rules: bytes, target: str, expected: bool) -> None:
    assert allows(ALL + rules, target) is expected


@pytest.mark.parametrize(
    ("lines", "delay"),
    [
        (b"Crawl-delay: 5 # seconds", 5.0),
        (b"Crawl-delay: .5", 0.5),
        (b"Crawl-delay: 0", 0.0),
        (b"Crawl-delay: 99999", MAX_CRAWL_DELAY_SECONDS),
        (b"Crawl-delay: soon", None),
        (b"Crawl-delay: -3", None),
        (b"Crawl-delay: 1e3", None),
        (b"Crawl-delay: inf", None),
        (b"Crawl-delay:", None),
        (b"Crawl-delay: 2\nCrawl-delay: x", 2.0),
    ],
)
def test_a_crawl_delay_is_a_number_or_ignored(lines: bytes, delay: float | None) -> None:
    robots = parse_robots(ALL + lines + b"\nDisallow: /x")

    assert robots.crawl_delay == delay
    assert not robots.allows(parse_address("http://pics.example/x"))


def test_an_ignored_crawl_delay_is_noted() -> None:
    assert parse_robots(ALL + b"Crawl-delay: soon").notes == ("robots.txt: crawl-delay ignored: 'soon'",)


@pytest.mark.parametrize(("status", "expected"), [(200, False), (404, True), (403, True), (410, True), (301, True)])
def test_an_answer_that_is_no_file_allows(status: int, expected: bool) -> None:
    robots = robots_of_answer(status, ALL + b"Disallow: /")

    assert robots.unavailable is None
    assert robots.allows(parse_address("http://pics.example/a")) is expected


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_in_trouble_forbids_for_now(status: int) -> None:
    assert robots_of_answer(status, b"<html>").unavailable == "robots-unavailable"


def test_a_page_instead_of_the_file_holds_no_rules() -> None:
    assert allows(b"<!doctype html>\nUser-agent: *\nDisallow: /", "/a")


def test_a_rule_that_the_limit_cuts_is_dropped_and_those_before_hold() -> None:
    body = ALL + b"Disallow: /deep/\n"
    body += b"# filler\n" * ((MAX_ROBOTS_BYTES - len(body)) // 9)
    cut = body[: MAX_ROBOTS_BYTES - 12].rpartition(b"\n")[0] + b"\nDisallow: /files/private/\nDisallow: /late\n"
    cut += b"#" * 200_000

    assert not allows(cut, "/deep/a")
    assert allows(cut, "/files/a")


def test_signals_against_training_are_seen() -> None:
    assert refusal(ALL + b"Content-Signal: search=yes, ai-train=no")
    assert refusal(ALL + b"Content-Usage: train-ai=n")
    assert not refusal(ALL + b"Content-Signal: search=yes, ai-train=yes")
    assert not refusal(b"User-agent: b\nContent-Signal: ai-train=no")


@pytest.mark.parametrize(
    ("lines", "target", "refused"),
    [
        (b"Content-Usage: /art/ train-ai=n", "/art/a.jpg", True),
        (b"Content-Usage: /art/ train-ai=n", "/b.jpg", False),
        (b"Content-Usage: train-ai=n\nContent-Usage: /open/ train-ai=y", "/open/a.jpg", False),
        (b"Content-Usage: /open/ train-ai=y\nContent-Usage: train-ai=n", "/a.jpg", True),
        (b"Content-Usage: /*.png$ train-ai=n", "/x/a.png", True),
        (b"Content-Usage: /a train-ai=y\nContent-Usage: /a train-ai=n", "/a.jpg", True),
        (b"Content-Usage: train-ai=y\nContent-Signal: ai-train=no", "/a.jpg", True),
        (b"Content-Signal: ai-input=no, search=yes", "/a.jpg", False),
        (b"Content-Usage: bots=n", "/a.jpg", True),
        (b"Content-Usage: bots=n, train-ai=y", "/a.jpg", False),
        (b"Content-Usage: train-genai=n", "/a.jpg", False),
    ],
)
def test_wishes_about_training_hold_for_their_path(lines: bytes, target: str, refused: bool) -> None:
    assert bool(refusal(ALL + lines, target)) is refused


def test_a_wish_before_the_first_group_is_for_all() -> None:
    assert refusal(b"Content-Signal: ai-train=no\nUser-agent: *\nDisallow:")
    assert allows(b"Disallow: /\nUser-agent: *\nDisallow:", "/a")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_robots_file(body: bytes) -> None:
    parse_robots(body).allows(parse_address("http://pics.example/a.png?b=%ff"))


@given(
    st.lists(
        st.sampled_from(
            ["User-agent: *", "Disallow: /", "Allow: /a*$", "Crawl-delay: 3", "", "x", "User-agent: entityflow"]
        ),
        max_size=8,
    )
)
def test_any_order_of_lines_gives_a_decision(lines: list[str]) -> None:
    assert parse_robots("\n".join(lines).encode()).allows(parse_address("http://pics.example/a")) in (True, False)
