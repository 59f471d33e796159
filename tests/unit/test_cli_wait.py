"""When `wait` is over."""

from dataclasses import dataclass

from entityflow.cli.wait import until_through
from entityflow.progress import SHARDER, Pace, Progress, describe, readers_above_the_sharder

FETCHER, FILTER = ("fetcher", "url"), ("filter", "image")
CHOSEN = [FETCHER, FILTER]


@dataclass
class Script:
    """An observer that sees one scripted look after another; the last one for ever."""

    looks: list[Progress]
    seen: int = 0

    def look(self) -> Progress:
        self.seen += 1
        return self.looks[min(self.seen, len(self.looks)) - 1]


def look(url_end: int, **left: int) -> Progress:
    return Progress({("url", 0): url_end}, {FETCHER: left.get("fetcher", 0), FILTER: left.get("filter", 0)})


def run(script: Script, timeout: float | None = None) -> dict[tuple[str, str], int]:
    ticks = iter(range(1000))
    return until_through(script, CHOSEN, timeout, sleep=lambda _: None, clock=lambda: float(next(ticks)))  # type: ignore[arg-type]


def test_it_is_over_after_two_looks_with_every_reader_at_its_end_and_the_same_ends() -> None:
    script = Script([look(5, fetcher=2), look(5), look(5), look(5)])

    left = run(script)

    assert left == {}
    assert script.seen == 3


def test_ends_that_moved_between_two_looks_are_looked_at_again() -> None:
    script = Script([look(5), look(6), look(6), look(6)])

    run(script)

    assert script.seen == 3


def test_a_reader_that_was_behind_once_needs_two_more_looks() -> None:
    script = Script([look(5), look(5, filter=1), look(5), look(5)])

    run(script)

    assert script.seen == 4


def test_what_is_left_at_the_time_out_is_returned() -> None:
    script = Script([look(5, fetcher=3)])

    assert run(script, timeout=10.0) == {FETCHER: 3}


def test_retries_and_coverage_are_waited_for_and_the_sharder_is_not() -> None:
    chosen = readers_above_the_sharder()

    assert ("fetcher-mover", "url-retry-long") in chosen
    assert ("coverage", "outcome") in chosen
    assert ("query_builder", "coverage") in chosen
    assert SHARDER not in chosen
    assert ("trainer", "shard") not in chosen


def test_what_is_left_is_said_by_reader_and_topic() -> None:
    assert describe({FETCHER: 120, FILTER: 8}) == "fetcher 120 of url, filter 8 of image"


def test_the_pace_tells_the_seconds_that_are_left() -> None:
    pace = Pace()
    pace.add(0.0, 100)
    pace.add(10.0, 60)

    assert pace.seconds_left() == 15.0


def test_a_pace_that_does_not_move_promises_nothing() -> None:
    pace = Pace()
    pace.add(0.0, 100)
    pace.add(10.0, 100)

    assert pace.seconds_left() is None
