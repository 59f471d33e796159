"""Which failed candidates are sent again, and as what."""

from dataclasses import replace

import pytest

from entityflow.records import Origin, Outcome, Url
from entityflow.retrying import Failed, failed_candidates, is_at, offers, retries
from entityflow.stage import Message, Send

URL = Url(
    candidate_id="c1", url_id="u1", address="https://a.pictures.example/1.jpg", provider="demo", round=1, title="An owl"
)
ORIGIN = Origin(topic_uuid="t", partition=0, offset=4)


def outcome(candidate: str, result: str, at: float = 10.0, origin: Origin | None = ORIGIN, **more: str) -> Outcome:
    return Outcome(
        candidate_id=candidate,
        url_id="u",
        provider="demo",
        stage="fetcher",
        result=result,
        at=at,
        url_origin=origin,
        **more,
    )


def lying(url: Url, offset: int, at_ms: int) -> tuple[Message, Url]:
    return Message("url", 0, offset, b"k", b"", {}, at_ms, "t"), url


def failed(origin: Origin | None = ORIGIN) -> dict[str, Failed]:
    return failed_candidates([outcome("c1", "timeout", origin=origin)], "timeout")


def test_the_newest_outcome_of_a_candidate_counts() -> None:
    log = [outcome("a", "timeout"), outcome("b", "not-found"), outcome("b", "timeout"), outcome("a", "not-found")]

    assert list(failed_candidates(log, "timeout")) == ["b"]


@pytest.mark.parametrize("good", ["accepted", "merged"])
def test_what_was_accepted_or_merged_once_is_never_tried_again(good: str) -> None:
    log = [outcome("a", good), outcome("a", "timeout")]

    assert failed_candidates(log, "timeout") == {}
    assert failed_candidates(log[::-1], "timeout") == {}


def test_failures_are_picked_by_time_and_host() -> None:
    log = [
        outcome("a", "timeout", 10.0, host="pictures.example"),
        outcome("b", "timeout", 20.0, host="pictures.example"),
        outcome("c", "timeout", 20.0, host="other.example"),
    ]

    assert list(failed_candidates(log, "timeout", "pictures.example", 15.0)) == ["b"]


@pytest.mark.parametrize(
    ("host", "meant"),
    [
        ("pictures.example", True),
        ("A.pictures.example.", True),
        ("ictures.example", False),
        ("b.pictures.example", False),
        ("example", True),
    ],
)
def test_a_host_means_itself_and_what_lies_below_it(host: str, meant: bool) -> None:
    failure = Failed(host="pictures.example", address="https://a.pictures.example/1.jpg", at=0.0, url_origin=None)

    assert is_at(failure, host) is meant


def test_an_outcome_without_host_or_address_is_at_no_host() -> None:
    assert not is_at(Failed(host=None, address="not an address", at=0.0, url_origin=None), "pictures.example")


def test_a_candidate_goes_again_as_it_was_first_offered() -> None:
    second = replace(URL, address="https://b.example/2.jpg", hop=1, tried=(URL.address,), alternates=())
    first = replace(URL, alternates=("https://b.example/2.jpg",))
    log = [lying(first, 1, 1000), lying(second, 4, 2000)]

    (sends, left_out) = retries(failed(), offers(log, failed()))

    assert sends == [Send("url", replace(first, refetch=True), key="a.pictures.example")]
    assert not left_out


def test_a_candidate_that_was_sent_again_and_has_not_ended_is_left_alone() -> None:
    log = [lying(URL, 4, 1000), lying(replace(URL, refetch=True), 9, 2000)]

    assert retries(failed(), offers(log, failed())) == ([], {"under-way": 1})


def test_a_candidate_that_is_gone_or_was_never_an_address_is_counted() -> None:
    never = replace(URL, address="data:image/gif;base64,AAAA")

    assert retries(failed(), {}) == ([], {"gone": 1})
    assert retries(failed(), offers([lying(never, 4, 1000)], failed())) == ([], {"no-address": 1})


def test_without_the_place_where_it_ended_a_candidate_is_sent() -> None:
    log = [lying(URL, 4, 1000), lying(URL, 9, 2000)]

    sends, _ = retries(failed(None), offers(log, failed(None)))

    assert len(sends) == 1
