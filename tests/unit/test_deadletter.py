"""What a dead letter says, and when too many of them stop a service."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.errors import Rejected, UserError
from entityflow.stage import Message
from entityflow.stage.deadletter import MAX_STACK_BYTES, RejectionLimit, Tries, dead_letter_headers
from entityflow.stage.raw import odd_headers


def message(partition: int = 3, offset: int = 7, **headers: bytes) -> Message:
    return Message("url", partition, offset, b"key", b"value", headers, 1_700_000_000_000, "uuid")


def letter(given: Message, error: BaseException, tries: Tries | None = None) -> dict[str, bytes]:
    return dict(dead_letter_headers(given, "p.fetcher", "fetcher@1.2", "url", error, tries or Tries()))


def test_a_dead_letter_names_where_the_record_lay_and_what_gave_it_up():
    headers = letter(message(attempt=b"2"), Rejected("too-odd", "why"), Tries(first_at=1_700_000_001.5, count=3))

    assert (headers["dlq-topic"], headers["dlq-partition"], headers["dlq-offset"]) == (b"url", b"3", b"7")
    assert (headers["dlq-timestamp"], headers["dlq-topic-uuid"]) == (b"1700000000000", b"uuid")
    assert (headers["dlq-service"], headers["dlq-version"], headers["dlq-group"]) == (b"fetcher", b"1.2", b"p.fetcher")
    assert (headers["dlq-stage"], headers["dlq-reason"], headers["dlq-error-class"]) == (
        b"url",
        b"too-odd",
        b"Rejected",
    )
    assert headers["dlq-error-message"] == b"too-odd: why"
    assert headers["dlq-attempts"] == b"5"
    assert headers["dlq-first-at"] == b"1700000001500"
    assert int(headers["dlq-last-at"]) > 1_700_000_001_500


def test_headers_of_the_record_stay_as_they_were_repeated_and_missing_ones_too():
    given = (("a", b"1"), ("a", b"2"), ("none", None))
    odd = Message("url", 0, 0, None, b"", {"a": b"2", "none": b""}, 0, "uuid", given)

    made = dead_letter_headers(odd, "g", "s@1", "url", Rejected("x"), Tries())

    assert tuple(made[:3]) == given


def test_headers_are_kept_aside_only_where_names_do_not_hold_them():
    assert odd_headers([("a", b"1"), ("b", b"2")], {"a": b"1", "b": b"2"}) is None
    assert odd_headers([("a", b"1"), ("a", b"2")], {"a": b"2"}) == (("a", b"1"), ("a", b"2"))
    assert odd_headers([("a", None)], {"a": b""}) == (("a", None),)
    assert odd_headers(None, {}) is None


def test_the_marks_of_an_earlier_dead_letter_are_replaced():
    headers = letter(message(**{"dlq-reason": b"old", "mine": b"kept"}), Rejected("new"))

    assert (headers["dlq-reason"], headers["mine"]) == (b"new", b"kept")


@given(st.text(min_size=1))
def test_message_and_stack_are_cut_to_their_limits_and_stay_text(text: str):
    headers = letter(message(), Rejected("long", text * 5000))

    assert headers["dlq-error-message"].decode().startswith("long: ")
    assert len(headers["dlq-error-message"]) <= 1024
    assert len(headers["dlq-stack"].decode().encode()) <= MAX_STACK_BYTES


def rejected(limit: RejectionLimit, times: int, partition: int = 0) -> None:
    for offset in range(times):
        limit.rejected(message(partition, offset), Rejected("bad", "why"))


def test_most_of_a_window_rejected_is_named_with_partition_and_offset():
    limit = RejectionLimit(window=100, share=0.5, minimum=20)
    for _ in range(6):
        limit.finished("url", 0)
        rejected(limit, 1)
    rejected(limit, 7)

    with pytest.raises(UserError, match=r"14 of the last 20 records of url partition 0 .* offset 0: bad: why"):
        rejected(limit, 1)


def test_a_row_of_rejected_ones_stops_though_the_window_is_full_of_good_ones():
    limit = RejectionLimit(window=200, in_a_row=50)
    limit.finished("url", 0, count=1000)
    rejected(limit, 50)

    with pytest.raises(UserError, match="51 records in a row of url partition 0"):
        rejected(limit, 1)


def test_a_good_one_ends_the_row():
    limit = RejectionLimit(window=200, in_a_row=10)
    limit.finished("url", 0, count=200)

    for _ in range(8):
        rejected(limit, 10)
        limit.finished("url", 0, count=1)


def test_one_bad_partition_is_seen_among_many_good_ones():
    limit = RejectionLimit()
    for partition in range(1, 12):
        limit.finished("url", partition, count=200)
    rejected(limit, 19)

    with pytest.raises(UserError, match="20 of the last 20 records of url partition 0"):
        rejected(limit, 1)


def test_partitions_of_two_topics_are_counted_apart():
    limit = RejectionLimit()
    rejected(limit, 19)

    limit.rejected(Message("image", 0, 0, None, b"", {}, 0, "u"), Rejected("bad"))
