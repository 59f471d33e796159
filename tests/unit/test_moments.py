"""Dates and times as people write them on the command line."""

import pytest

from entityflow.errors import UsageError
from entityflow.moments import moment, shown

NOW = 1_764_064_800.0  # 2025-11-25T10:00:00Z


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2025-11-25", "2025-11-25T00:00:00Z"),
        ("2025-11-25T09:30", "2025-11-25T09:30:00Z"),
        ("2025-11-25 09:30:01", "2025-11-25T09:30:01Z"),
        ("2025-11-25T09:30:00+02:00", "2025-11-25T07:30:00Z"),
        ("2025-11-25T09:30:00Z", "2025-11-25T09:30:00Z"),
        ("90m", "2025-11-25T08:30:00Z"),
        ("2d", "2025-11-23T10:00:00Z"),
        (" 1W ", "2025-11-18T10:00:00Z"),
    ],
)
def test_a_moment_is_a_date_a_time_or_how_long_ago(text: str, meant: str) -> None:
    assert shown(moment(text, "--since", NOW)) == meant


@pytest.mark.parametrize("text", ["yesterday", "", "2025-13-01", "5 apples", "-3h", "25:00"])
def test_anything_else_names_the_option_the_value_and_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        moment(text, "--since", NOW)

    assert str(caught.value) == f"--since {text!r} is no moment"
    assert "12h" in (caught.value.hint or "")
