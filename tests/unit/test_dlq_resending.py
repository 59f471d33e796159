"""The pace at which messages go back."""

from entityflow.resending import CHUNK, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def times(rate: float | None, count: int) -> list[tuple[float, int]]:
    clock = Clock()
    chunks = Rate(rate, clock, clock.sleep).chunks(range(count))
    return [(clock.now - 100.0, len(chunk)) for chunk in chunks]


def test_never_more_go_than_the_rate_allows() -> None:
    assert times(2, 5) == [(0.0, 2), (1.0, 2), (2.0, 1)]


def test_a_rate_below_one_sends_single_messages() -> None:
    assert times(0.5, 3) == [(0.0, 1), (2.0, 1), (4.0, 1)]


def test_without_a_rate_full_chunks_go_at_once() -> None:
    assert times(None, CHUNK + 1) == [(0.0, CHUNK), (0.0, 1)]


def test_time_that_the_broker_took_counts() -> None:
    clock = Clock()
    sent = []
    for chunk in Rate(2, clock, clock.sleep).chunks(range(6)):
        sent.append((clock.now - 100.0, len(chunk)))
        clock.now += 0.75

    assert sent == [(0.0, 2), (1.0, 2), (2.0, 2)]
