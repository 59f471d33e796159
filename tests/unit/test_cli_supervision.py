"""The supervisor's decisions that need no process."""

import itertools

from entityflow.cli.figures import line, totals_of
from entityflow.cli.output import print_table
from entityflow.cli.supervision import HEALTH, Throttle


def test_one_line_a_second_comes_through_and_the_next_says_how_many_did_not() -> None:
    said: list[str] = []
    clock = iter([0.0, 0.2, 0.4, 1.1])
    throttle = Throttle(said.append, clock=lambda: next(clock))

    for text in ("a", "b", "c", "d"):
        throttle.line("fetcher", text)

    assert said == ["fetcher | a", "fetcher | d (+2 lines)"]


def test_an_error_always_comes_through() -> None:
    said: list[str] = []
    throttle = Throttle(said.append, clock=lambda: 0.0)

    throttle.line("fetcher", "a")
    throttle.line("fetcher", "at=now level=error event=service_failed")

    assert len(said) == 2


def test_services_do_not_hold_back_each_other() -> None:
    said: list[str] = []
    throttle = Throttle(said.append, clock=lambda: 0.0)

    for name in ("fetcher", "filter"):
        throttle.line(name, "a")

    assert said == ["fetcher | a", "filter | a"]


def test_a_quiet_supervisor_says_errors_only() -> None:
    said: list[str] = []
    ticks = itertools.count(0.0, 5.0)
    throttle = Throttle(said.append, quiet=True, clock=lambda: next(ticks))

    throttle.line("filter", "a")
    throttle.line("filter", "error: no answer from Kafka")

    assert said == ["filter | error: no answer from Kafka"]


def test_the_health_address_is_read_off_the_line_that_a_service_starts_with() -> None:
    line = "at=2026-01-01T00:00:00Z level=info event=service_started health=http://127.0.0.1:4711 service=index"

    found = HEALTH.search(line)

    assert found is not None
    assert found[1] == "http://127.0.0.1:4711"


def test_a_piped_table_has_tabs_and_no_titles(capsys) -> None:  # type: ignore[no-untyped-def]
    print_table(["topic", "records"], [["url", 3]])

    assert capsys.readouterr().out == "url\t3\n"


def test_the_line_of_a_service_has_its_total_its_rate_and_its_commonest_results() -> None:
    exposition = (
        "# TYPE entityflow_consumed counter\n"
        'entityflow_consumed_total{service="filter",topic="image"} 130.0\n'
        "# TYPE entityflow_outcomes counter\n"
        'entityflow_outcomes_total{service="filter",result="accepted"} 80.0\n'
        'entityflow_outcomes_total{service="filter",result="too-small"} 5.0\n'
    )

    said = line(totals_of(exposition), taken_before=70, seconds=60.0)

    assert said == "130 records, 1.0/s; accepted 80, too-small 5"
