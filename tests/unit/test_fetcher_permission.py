"""What headers say about training, and how long a server asks us to stay away."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fetcher.permission import judge_answer, judge_headers
from services.fetcher.retry_after import MAX_SECONDS, retry_after_seconds
from services.fetcher.tdm import TdmRule

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("value", "refusing"),
    [
        ("noai", "noai"),
        ("NoImageAI", "noimageai"),
        ("none", "none"),
        ("max-image-preview: large, noimageai", "noimageai"),
        ("noindex, unavailable_after: 3 Jan 2011 10:00:00 GMT", "noindex"),
        ("unavailable_after: Mon, 3 Jan 2011 10:00:00 GMT, noai", "noai"),
        ("noai; nofollow", "noai"),
        ("entityflow: noai", "noai"),
        ("EntityFlow/2: noai", "noai"),
        ("otherbot: all, entityflow: noimageindex", "noimageindex"),
        ("noimageindex, otherbot: all", "noimageindex"),
        ("*: noai", "noai"),
    ],
)
def test_an_opt_out_is_found_wherever_it_stands(value: str, refusing: str) -> None:
    judgement = judge_headers([("X-ROBOTS-tag", value)])

    assert judgement.reason == "opted-out"
    assert f"x-robots-tag: {refusing}" in judgement.evidence


@pytest.mark.parametrize(
    "value",
    ["all", "otherbot: noai", "otherbot: noindex, noai", "max-image-preview: none", "nofollow, noarchive", "", "noaim"],
)
def test_what_does_not_concern_us_does_not_refuse(value: str) -> None:
    assert judge_headers([("X-Robots-Tag", value)]).reason is None


def test_headers_add_up() -> None:
    judgement = judge_headers([("x-robots-tag", "otherbot: noindex"), ("x-robots-tag", "noai"), ("etag", "noai")])

    assert judgement.reason == "opted-out"
    assert judgement.evidence == ("x-robots-tag: noai",)


def test_reserved_mining_and_refused_usage_are_refusals() -> None:
    assert judge_headers([("TDM-Reservation", "1")]).reason == "tdm-reserved"
    assert judge_headers([("tdm-reservation", "0")]).reason is None
    assert judge_headers([("Content-Usage", "search=y, train-ai=n")]).reason == "opted-out"
    assert judge_headers([("Content-Usage", "train-ai=y")]).reason is None


def test_a_header_about_mining_beats_the_file_of_the_site() -> None:
    reserved = TdmRule("/", True, "https://pics.example/policy")

    by_file = judge_answer([], reserved)

    assert by_file.reason == "tdm-reserved"
    assert by_file.evidence == ("tdmrep.json: /: 1, policy https://pics.example/policy",)
    assert judge_answer([("TDM-Reservation", "0")], reserved).reason is None
    assert judge_answer([("TDM-Reservation", "1")], TdmRule("/", False)).reason == "tdm-reserved"
    assert judge_answer([("X-Robots-Tag", "noai")], reserved).reason == "opted-out"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("90", 90.0),
        ("  90 ", 90.0),
        ("99999999", MAX_SECONDS),
        ("9" * 500, MAX_SECONDS),
        ("Mon, 04 May 2026 10:05:00 GMT", 300.0),
        ("Mon, 04 May 2030 10:05:00 GMT", MAX_SECONDS),
        ("Mon, 04 May 2026 09:00:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_a_wait_of_at_most_a_day_or_nothing(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@given(st.text(max_size=40))
def test_any_header_text_is_judged(text: str) -> None:
    judge_headers([("x-robots-tag", text), ("content-usage", text), ("tdm-reservation", text)])
    wait = retry_after_seconds(text, NOW)
    assert wait is None or 0 <= wait <= MAX_SECONDS
