"""What strangers wrote, shown on a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.printable import printable, printable_json, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://x.test\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2\x1b\\sixel", "sixel"),
        ("\x1b]never closed", "never closed"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("\u2066a\u2069\u200f\ufeff", "a"),
        ("bell\x07 null\x00 back\x08", "bell null back"),
        ("two\nlines\r\ttab\u2028end", "two lines  tab end"),
        ("half \ud83d face", "half  face"),
        ("Καλημέρα 日本 é", "Καλημέρα 日本 é"),
    ],
)
def test_nothing_that_a_terminal_obeys_is_left(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_comes_in_only_visible_characters_come_out(text: str) -> None:
    shown = printable(text)

    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert printable(shown) == shown


def test_a_long_value_is_cut_and_says_how_much_is_missing() -> None:
    assert printable("a" * 30, 10) == "aaaaaaaaaa... (20 more)"


def test_a_stack_keeps_its_lines() -> None:
    assert printable_lines("one\n  \x1b[1mtwo\nthree") == "one\n  two\nthree"


def test_texts_of_a_json_value_are_clean_however_deep_they_lie() -> None:
    assert printable_json({"a\x1b[1m": ["\u202eb", {"c": 1, "d": "x" * 6}]}, 5) == {
        "a": ["b", {"c": 1, "d": "xxxxx... (1 more)"}]
    }
