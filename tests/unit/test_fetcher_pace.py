"""How a host's pace grows and falls."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from services.fetcher.pace import Pace, Terms

TERMS = Terms(1.0, speedup=2.0, max_connections=3)


def test_a_host_that_answers_well_becomes_faster_up_to_its_ceiling() -> None:
    pace = Pace(TERMS)
    assert (pace.interval_seconds, pace.connections) == (1.0, 1)

    for _ in range(100):
        pace.went_well()

    assert (pace.interval_seconds, pace.connections) == (0.5, 3)


def test_a_complaint_halves_the_rate_and_is_never_reached_again() -> None:
    pace = Pace(TERMS)
    for _ in range(18):
        pace.went_well()
    complained_at = pace.rate

    pace.complained()
    assert (pace.rate, pace.connections) == (complained_at / 2, 1)
    for _ in range(1000):
        pace.went_well()

    assert pace.rate == 0.8 * complained_at
    assert pace.connections == 1


def test_a_crawl_delay_is_obeyed_and_never_grown_over() -> None:
    pace = Pace(TERMS)
    pace.declared(5.0)

    for _ in range(100):
        pace.went_well()

    assert (pace.interval_seconds, pace.connections) == (5.0, 1)


def test_changed_settings_hold_for_hosts_that_are_known() -> None:
    pace = Pace(TERMS)
    for _ in range(100):
        pace.went_well()

    pace.offered(Terms(4.0))

    assert (pace.interval_seconds, pace.connections) == (4.0, 1)


@given(st.lists(st.sampled_from(("well", "complaint", "delay")), max_size=200), st.sampled_from((0.0, 0.2, 1.0, 30.0)))
def test_no_history_leads_over_the_ceiling_or_to_a_stop(history: list[str], delay: float) -> None:
    terms = Terms(delay, 2.0, 4)
    pace = Pace(terms)

    for event in history:
        {"well": pace.went_well, "complaint": pace.complained, "delay": lambda: pace.declared(None)}[event]()

    assert 0 < pace.rate <= terms.rate * 2
    assert 1 <= pace.connections <= 4
    assert math.isfinite(pace.interval_seconds)
