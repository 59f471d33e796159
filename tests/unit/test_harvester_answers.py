"""What an answer of a SPARQL endpoint is worth."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.retry_after import retry_after
from services.entity_harvester.answers import (
    CutAnswer,
    NoAnswer,
    Refused,
    Term,
    WrongQuestion,
    check_status,
    parse_rows,
)

SPARQL_JSON = "application/sparql-results+json"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def answer(*values: str) -> bytes:
    rows = [{"item": {"type": "uri", "value": value}} for value in values]
    return json.dumps({"head": {"vars": ["item"]}, "results": {"bindings": rows}}).encode()


def test_a_whole_answer_gives_its_rows() -> None:
    body = b'{"results": {"bindings": [{"label": {"type": "literal", "value": "owl", "xml:lang": "EN"}}]}}'

    assert parse_rows(SPARQL_JSON + "; charset=utf-8", body) == [{"label": Term("owl", "en")}]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_an_answer_that_is_cut_is_none_even_with_status_200(share: float) -> None:
    body = answer(*(f"Q{number}" for number in range(50)))

    with pytest.raises(CutAnswer):
        parse_rows(SPARQL_JSON, body[: int(len(body) * share)])


def test_a_stack_trace_inside_the_document_is_quoted_as_the_cause() -> None:
    body = answer("Q1", "Q2")[:-4] + b"\njava.util.concurrent.TimeoutException\n\tat Query.run(Query.java:9)"

    with pytest.raises(CutAnswer, match="TimeoutException"):
        parse_rows(SPARQL_JSON, body)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"results": []}', b'{"results": {"bindings": [1]}}', b"7"])
def test_json_that_is_no_result_is_no_answer(body: bytes) -> None:
    with pytest.raises(NoAnswer):
        parse_rows(SPARQL_JSON, body)


def test_a_page_for_people_is_never_parsed() -> None:
    with pytest.raises(NoAnswer, match="text/html instead of SPARQL JSON"):
        parse_rows("text/html", answer("Q1"))


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_no_answer(body: bytes) -> None:
    try:
        parse_rows(SPARQL_JSON, body)
    except NoAnswer:
        return


def test_a_refusal_carries_the_time_that_the_server_asks_for() -> None:
    with pytest.raises(Refused) as caught:
        check_status(429, {"retry-after": "9"}, b"<html><title>Error 429</title></html>")

    assert caught.value.seconds == 9


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("²", None),
        ("", None),
    ],
)
def test_retry_after_holds_seconds_or_a_date_or_nothing_usable(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW.timestamp()) == seconds


@pytest.mark.parametrize("status", [500, 502, 504, 408])
def test_a_server_in_trouble_is_asked_for_less(status: int) -> None:
    with pytest.raises(CutAnswer):
        check_status(status, {}, b"out of memory")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 414])
def test_a_question_that_will_never_be_answered_is_told_apart(status: int) -> None:
    with pytest.raises(WrongQuestion, match=f"HTTP {status}: MalformedQuery"):
        check_status(status, {}, b"MalformedQuery\n")
