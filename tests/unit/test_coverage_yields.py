"""What candidates come to, each counted once, and what coverage decides."""

from hypothesis import given
from hypothesis import strategies as st

from entityflow.ids import content_id
from entityflow.outcomes import Endings
from entityflow.records import Outcome, Record
from entityflow.stage import Message, Received
from services.coverage.judging import Judging
from services.coverage.yields import ENOUGH, EXHAUSTED, SEARCH_MORE, Target, Yield, decide

TARGET = Target(pairs=2, rounds=1)
RESULTS = st.sampled_from(["accepted", "merged", "robots-denied", "too-small"])


def outcome(candidate: str, result: str, *, round_: int = 0, entity: str | None = "Q1") -> Outcome:
    return Outcome(
        candidate_id=content_id(candidate),
        url_id="u",
        entity_id=entity,
        round=round_,
        provider="demo",
        stage="filter",
        result=result,
        at=0.0,
    )


def received(record: Record, offset: int) -> Received[Record]:
    return Received(record, Message("outcome", 0, offset, None, None, {}, 0, "uuid"))


def counted(*outcomes: Outcome) -> dict[str, int]:
    return Endings(outcomes).counts


def test_a_candidate_that_was_accepted_stays_accepted_whatever_comes_after() -> None:
    assert counted(outcome("a", "accepted"), outcome("a", "merged"), outcome("a", "http-404")) == {"accepted": 1}


def test_merged_goes_before_a_reason() -> None:
    assert counted(outcome("a", "too-small"), outcome("a", "merged"), outcome("a", "too-small")) == {"merged": 1}


def test_of_two_reasons_the_last_counts() -> None:
    assert counted(outcome("a", "too-small"), outcome("a", "robots-denied")) == {"robots-denied": 1}


@given(st.lists(st.tuples(st.sampled_from("abc"), RESULTS), max_size=30), st.integers(1, 3))
def test_a_replay_of_the_log_changes_no_count(log: list[tuple[str, str]], times: int) -> None:
    once = [outcome(*item) for item in log]

    assert counted(*once * times) == counted(*once)
    assert sum(counted(*once).values()) == len({candidate for candidate, _ in log})


def test_the_counts_of_an_entity_add_up_to_its_candidates() -> None:
    counts = Yield()
    for one in (outcome("a", "accepted"), outcome("b", "merged"), outcome("c", "too-small"), outcome("c", "too-small")):
        counts.add(one)

    coverage = counts.coverage("Q1", TARGET)

    assert (coverage.candidates, coverage.accepted, coverage.merged, coverage.dropped) == (3, 1, 1, 1)


def test_enough_pairs_end_the_search_and_so_does_the_last_round() -> None:
    assert decide(accepted=2, round_=0, target=TARGET) == ENOUGH
    assert decide(accepted=1, round_=0, target=TARGET) == SEARCH_MORE
    assert decide(accepted=1, round_=1, target=TARGET) == EXHAUSTED


class Now:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_an_entity_is_judged_when_it_has_been_quiet_and_not_before() -> None:
    now = Now()
    judging = Judging(first=0, judged=0, target=TARGET, quiet_seconds=5.0, clock=now)
    judging.step([received(outcome("a", "accepted"), 0)])

    now.seconds = 4.0
    early = judging.tick()
    now.seconds = 5.0
    due = judging.tick()

    assert early is not None
    assert not early.sends
    assert early.finished == 0
    assert due is not None
    assert [send.record.decision for send in due.sends] == [SEARCH_MORE]  # type: ignore[union-attr]
    assert due.finished == 1


def test_what_is_committed_stays_before_the_first_entity_that_is_not_judged() -> None:
    now = Now()
    judging = Judging(first=0, judged=0, target=TARGET, quiet_seconds=5.0, clock=now)
    judging.step([received(outcome("a", "accepted", entity="Q1"), 0)])
    now.seconds = 3.0
    judging.step([received(outcome("b", "accepted", entity="Q2"), 1)])

    now.seconds = 6.0
    batch = judging.tick()

    assert batch is not None
    assert [send.record.entity_id for send in batch.sends] == ["Q1"]  # type: ignore[union-attr]
    assert batch.finished == 1


def test_a_new_owner_counts_what_was_judged_already_but_says_nothing_about_it() -> None:
    now = Now()
    judging = Judging(first=0, judged=1, target=TARGET, quiet_seconds=5.0, clock=now)
    judging.step([received(outcome("a", "accepted", entity="Q1"), 0)])
    judging.step([received(outcome("b", "accepted", entity="Q2"), 1)])

    now.seconds = 5.0
    batch = judging.tick()

    assert batch is not None
    assert [send.record.entity_id for send in batch.sends] == ["Q2"]  # type: ignore[union-attr]


def test_a_new_owner_says_the_counts_of_the_whole_log() -> None:
    now = Now()
    judging = Judging(first=0, judged=1, target=TARGET, quiet_seconds=5.0, clock=now)
    judging.step([received(outcome("a", "accepted"), 0), received(outcome("b", "accepted"), 1)])

    now.seconds = 5.0
    batch = judging.tick()

    assert batch is not None
    (send,) = batch.sends
    assert send.record.accepted == 2  # type: ignore[union-attr]
    assert send.record.decision == ENOUGH  # type: ignore[union-attr]


def test_a_replayed_outcome_asks_for_no_new_judgement() -> None:
    now = Now()
    judging = Judging(first=0, judged=0, target=TARGET, quiet_seconds=5.0, clock=now)
    judging.step([received(outcome("a", "accepted"), 0)])
    now.seconds = 5.0
    judging.tick()

    batch = judging.step([received(outcome("a", "accepted"), 1)])
    now.seconds = 20.0

    assert batch.finished == 2
    assert not judging.tick().sends  # type: ignore[union-attr]


def test_candidates_of_a_list_without_entities_are_passed_over() -> None:
    judging = Judging(first=0, judged=0, target=TARGET, quiet_seconds=5.0, clock=Now())

    batch = judging.step([received(outcome("a", "accepted", entity=None), 0)])

    assert batch.finished == 1
