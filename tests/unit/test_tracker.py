import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.stage.tracker import OffsetTracker


def test_nothing_is_committable_before_the_first_record_has_finished():
    tracker = OffsetTracker()
    tracker.take(5)
    tracker.take(6)

    tracker.finish(6)

    assert tracker.committable() is None


def test_a_record_that_finishes_late_lets_everything_behind_it_go():
    tracker = OffsetTracker()
    for offset in (5, 6, 9):
        tracker.take(offset)

    tracker.finish(9)
    tracker.finish(6)
    tracker.finish(5)

    assert tracker.committable() == 10


def test_an_offset_taken_out_of_order_is_a_bug():
    tracker = OffsetTracker()
    tracker.take(5)

    with pytest.raises(ValueError, match="offset 5"):
        tracker.take(5)


@given(st.lists(st.integers(0, 1000), unique=True, min_size=1).map(sorted), st.randoms(), st.integers(0, 1000))
def test_any_order_of_finishing_commits_only_finished_prefixes(offsets, random, stop_after):
    tracker = OffsetTracker()
    for offset in offsets:
        tracker.take(offset)
    order = offsets.copy()
    random.shuffle(order)
    finished = set()

    for offset in order[:stop_after]:
        tracker.finish(offset)
        finished.add(offset)
        committed = tracker.committable()
        before = {offset for offset in offsets if committed is not None and offset < committed}
        assert before <= finished
        first_open = min((offset for offset in offsets if offset not in finished), default=None)
        assert first_open is None or committed is None or committed <= first_open
