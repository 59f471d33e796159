"""Requests are counted before they are sent: no cap is passed, whoever dies and however many ask."""

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.searcher.pacing import Pace
from services.searcher.patience import Patience
from services.searcher.spending import ALWAYS, BLOCK, DAY, MONTH, Cap, Purse, SpentOut

NOON = 1_764_072_000.0  # 2025-11-25T12:00:00Z


class Bucket:
    """Objects that can be made once."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self._lock = threading.Lock()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        with self._lock:
            if key in self.keys:
                return False
            self.keys.add(key)
            return True

    def names(self, prefix: str) -> Sequence[str]:
        return sorted(key for key in self.keys if key.startswith(prefix))


def spent(purse: Purse, most: int = 1000) -> int:
    for count in range(most):
        try:
            purse.spend()
        except SpentOut:
            return count
    return most


@given(cap=st.integers(0, 60), lives=st.lists(st.integers(0, 25), max_size=8))
def test_no_series_of_lives_and_deaths_passes_a_cap(cap: int, lives: list[int]) -> None:
    bucket = Bucket()

    total = sum(spent(Purse("p", [Cap(ALWAYS, cap)], bucket), most) for most in lives)

    assert total <= cap


def test_one_process_may_spend_all_of_a_cap() -> None:
    assert spent(Purse("p", [Cap(ALWAYS, 2 * BLOCK + 3)], Bucket())) == 2 * BLOCK + 3


def test_processes_at_the_same_time_share_a_cap() -> None:
    bucket, counts = Bucket(), list[int]()
    threads = [
        threading.Thread(target=lambda: counts.append(spent(Purse("p", [Cap(ALWAYS, 100)], bucket)))) for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == 100


def test_requests_of_one_process_at_the_same_time_take_one_block() -> None:
    purse, counts, begin = Purse("p", [Cap(ALWAYS, 4)], Bucket()), list[int](), threading.Barrier(8)

    def one() -> None:
        begin.wait()
        counts.append(spent(purse, 1))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == 4


def test_a_cap_that_is_lowered_or_raised_holds_for_what_was_spent_before() -> None:
    bucket = Bucket()
    assert spent(Purse("p", [Cap(ALWAYS, 15)], bucket)) == 15

    assert spent(Purse("p", [Cap(ALWAYS, 5)], bucket)) == 0
    assert spent(Purse("p", [Cap(ALWAYS, 30)], bucket)) <= 15


def test_a_new_day_has_its_own_requests_and_a_spent_one_says_when_it_ends() -> None:
    now = NOON
    purse = Purse("p", [Cap(DAY, 3), Cap(ALWAYS, 5)], Bucket(), lambda: now)
    assert spent(purse) == 3

    with pytest.raises(SpentOut) as caught:
        purse.spend()
    assert caught.value.until == NOON + 12 * 3600

    now = NOON + 12 * 3600
    assert spent(purse) == 2
    with pytest.raises(SpentOut) as caught:
        purse.spend()
    assert caught.value.until is None


def test_a_month_ends_with_its_last_day() -> None:
    purse = Purse("p", [Cap(MONTH, 1)], Bucket(), lambda: NOON)
    purse.spend()

    with pytest.raises(SpentOut) as caught:
        purse.spend()

    assert caught.value.until == 1_764_547_200.0  # 2025-12-01T00:00:00Z


async def test_requests_keep_the_pause_of_their_share() -> None:
    now, slept = 0.0, list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    pace = Pace(2.0, share=lambda: 0.5, clock=lambda: now, sleep=sleep)
    for _ in range(3):
        await pace.turn()

    assert slept == [4.0, 8.0]


def test_a_provider_that_is_away_is_waited_for_then_left_alone_longer_and_longer() -> None:
    now = 100.0
    patience = Patience(60.0, lambda: now)

    assert patience.failed("p") is None
    now = 150.0
    assert patience.failed("p") is None
    now = 160.0
    assert patience.failed("p") == 220.0
    assert (patience.away_until("p"), patience.away_until("other")) == (220.0, None)
    now = 220.0
    assert patience.away_until("p") is None
    assert patience.failed("p") == 340.0


def test_one_good_answer_ends_an_absence() -> None:
    now = 0.0
    patience = Patience(0.0, lambda: now)
    patience.failed("p")

    patience.went_well("p")

    assert patience.away_until("p") is None
