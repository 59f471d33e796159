"""tdmrep.json, and the paths that it and robots.txt write."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fetcher.patterns import path_matches
from services.fetcher.tdm import TdmRule, parse_tdmrep, rule_for


def test_the_most_specific_rule_counts_and_on_a_tie_the_reservation() -> None:
    rules = parse_tdmrep(
        json.dumps(
            [
                {"location": "/", "tdm-reservation": 1, "tdm-policy": "https://pics.example/policy"},
                {"location": "/open/*", "tdm-reservation": 0},
                {"location": "/open/no*", "tdm-reservation": "0"},
                {"location": "/open/no*", "tdm-reservation": 1},
            ]
        ).encode()
    )

    found = [rule_for(rules, target) for target in ("/a.jpg", "/open/a.jpg", "/open/not.jpg")]

    assert [rule.reserved for rule in found if rule] == [True, False, True]
    assert rule_for((), "/a.jpg") is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"3",
        b'[1, null, "x", []]',
        b'[{"location": 3, "tdm-reservation": 1}]',
        b"[" * 100_000,
        b'[{"location": "/", "tdm-reservation": "maybe"}]',
        b"\xff\xfe",
        b'{"tdm-reservation": 1}',
    ],
)
def test_a_file_that_is_none_reserves_nothing(body: bytes) -> None:
    assert parse_tdmrep(body) == ()


def test_one_object_without_a_list_is_taken() -> None:
    assert parse_tdmrep(b'{"location": "/", "tdm-reservation": 1}') == (TdmRule("/", True),)


@given(st.binary(max_size=300))
def test_no_bytes_raise(body: bytes) -> None:
    parse_tdmrep(body)


@given(st.text("ab*$/", max_size=8), st.text("ab/", max_size=8))
def test_patterns_match_as_the_expression_they_stand_for(pattern: str, target: str) -> None:
    ends = pattern.endswith("$")
    parts = (pattern[:-1] if ends else pattern).split("*")
    expression = ".*".join(map(re.escape, parts)) + ("$" if ends else "")

    assert path_matches(pattern, target) is bool(re.match(expression, target))


def test_a_pattern_made_to_be_slow_is_not() -> None:
    assert not path_matches("*a" * 4000 + "b$", "a" * 8000)
