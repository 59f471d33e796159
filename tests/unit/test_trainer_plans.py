"""What a group of steps draws, and in which order: no torch here."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.errors import UsageError
from services.trainer.ledger import Entry, Ledger, ShardRef
from services.trainer.order import Order, indices
from services.trainer.plans import Place, Plan, apportion, plan_new, plan_replay, replay_share
from services.trainer.randomness import permutation, uniforms
from services.trainer.recipe import Recipe, make_recipe
from services.trainer.settings import TrainerSettings
from services.trainer.state import RunState

START = Place(group=0, step=0, knowledge=None, position=0, parent="")


def entry(name: str, samples: int, drawn: int = 0) -> Entry:
    return Entry(ref=ShardRef(shard_id=name, version=1, tar=f"{name}.tar", sha256="0"), samples=samples, drawn=drawn)


def ledger(*entries: Entry) -> Ledger:
    return Ledger({entry.ref.shard_id: entry for entry in entries})


def recipe(passes: int = 3, group_steps: int = 200, seed: int = 0) -> Recipe:
    base = make_recipe(TrainerSettings(), None)
    return replace(base, batch_size=4, passes=passes, replay_share=0.25, group_steps=group_steps, seed=seed)


def drawn(plan: Plan, world_size: int = 1) -> list[tuple[str, int]]:
    """(shard, sample) in the order in which all processes together draw them, step by step."""
    order = Order(plan)
    found = []
    for step in range(plan.steps):
        for rank in range(world_size):
            found += [order.place(index) for index in indices(plan, step, rank, world_size)]
    return [(plan.sources[source].ref.shard_id, sample) for source, sample in found]


def test_a_first_group_draws_each_new_sample_and_fills_the_last_batch() -> None:
    new = [entry("a", 5), entry("b", 6)]

    plan = plan_new(recipe(), ledger(*new), new, START)

    counts = Counter(drawn(plan))
    assert plan.steps == 3
    assert len(counts) == 11
    assert sorted(counts.values()) == [1] * 10 + [2]


def test_a_later_group_draws_each_new_sample_once_and_replays_at_its_share() -> None:
    old, new = entry("old", 100, drawn=100), entry("new", 60)

    plan = plan_new(recipe(), ledger(old, new), [new], replace(START, group=1000))

    by_shard = Counter(shard for shard, _ in drawn(plan))
    assert by_shard == {"new": 60, "old": 20}
    assert len({sample for shard, sample in drawn(plan) if shard == "new"}) == 60


def test_replay_begins_at_one_half_and_comes_down_to_the_recipes_share() -> None:
    shares = [replay_share(recipe(), group) for group in (0, 10, 20, 500)]

    assert shares == [0.5, 0.375, 0.25, 0.25]


def test_a_group_without_new_shards_replays_what_was_drawn_too_rarely() -> None:
    late, early = entry("late", 12, drawn=12), entry("early", 12, drawn=36)

    plan = plan_replay(recipe(), ledger(late, early), START)

    by_shard = Counter(shard for shard, _ in drawn(plan))
    assert by_shard == {"late": 24, "early": 8}


def test_a_group_opens_no_more_old_shards_than_it_may_and_each_group_others_by_their_samples() -> None:
    old = [entry(f"old{n:02d}", 400 if n < 10 else 40, drawn=400 if n < 10 else 40) for n in range(40)]
    new = entry("new", 64)
    few = replace(recipe(), group_shards=8, replay_share=0.5)

    plans = [plan_new(few, ledger(*old, new), [new], replace(START, group=group)) for group in range(30)]

    opened = [{source.ref.shard_id for source in plan.sources} - {"new"} for plan in plans]
    assert all(len(shards) == 8 for shards in opened)
    assert len(set().union(*opened)) > 30
    large = sum(shard < "old10" for shards in opened for shard in shards)
    assert 0.6 < large / (8 * 30) < 0.9
    assert all(sum(source.draws for source in plan.sources) == plan.draws for plan in plans)


def test_a_replay_share_that_forgets_is_refused_and_none_at_all_is_not() -> None:
    with pytest.raises(UsageError, match=r"0\.05"):
        make_recipe(TrainerSettings(trainer_replay_share=0.05), None)

    assert make_recipe(TrainerSettings(trainer_replay_share=0), None).replay_share == 0


def test_after_all_groups_every_sample_was_drawn_as_often_as_the_passes_say() -> None:
    state = RunState(ledger=ledger(entry("a", 8), entry("b", 4)))
    counts: Counter[tuple[str, int]] = Counter()

    while state.ledger.missing_draws(3):
        new = [item for item in state.ledger.usable() if not item.drawn]
        place = state.place(None)
        short = recipe(group_steps=2)
        state.plan = plan_new(short, state.ledger, new, place) if new else plan_replay(short, state.ledger, place)
        counts.update(drawn(state.plan))
        state.plan_step = state.plan.steps
        state.finish_plan()

    assert set(counts.values()) == {3}
    assert len(counts) == 12


def test_two_processes_draw_what_one_draws_in_the_same_order() -> None:
    new = [entry("a", 40)]
    plan = plan_new(recipe(), ledger(*new), new, START)

    one, two = drawn(plan, 1), drawn(plan, 2)

    assert one == two
    assert len(set(one)) == 40
    assert plan.steps == 10


def test_the_order_follows_from_the_stored_plan_alone() -> None:
    new = [entry("a", 30), entry("b", 10)]
    plan = plan_new(recipe(seed=7), ledger(*new), new, START)

    again = Plan.from_json(plan.to_json())

    assert again == plan
    assert drawn(again) == drawn(plan)


def test_each_pass_over_a_shard_has_its_own_order() -> None:
    first = plan_replay(recipe(passes=1), ledger(entry("a", 40)), START)
    second = plan_replay(recipe(passes=2), ledger(entry("a", 40, drawn=40)), replace(START, group=1))

    assert drawn(first) != drawn(second)
    assert set(drawn(first)) == set(drawn(second))


def test_a_plan_that_was_given_up_counts_only_the_steps_that_were_taken() -> None:
    new = [entry("a", 40)]
    state = RunState(ledger=ledger(*new))
    state.plan, state.plan_step = plan_new(recipe(), state.ledger, new, START), 4

    state.finish_plan()

    assert state.ledger.entries["a"].drawn == 16
    assert (state.group, state.plan, state.plan_step) == (1, None, 0)


def test_a_new_version_replaces_the_old_one_and_an_older_one_is_no_news() -> None:
    known = ledger(entry("a", 40, drawn=80))
    newer = ShardRef(shard_id="a", version=2, tar="a2.tar", sha256="1")

    after = known.admit(Entry(ref=newer, samples=39))

    assert (after.entries["a"].samples, after.entries["a"].drawn) == (39, 80)
    assert after.is_news(replace(newer, version=3))
    assert not after.is_news(replace(newer, version=1))
    assert not after.is_news(newer)


def test_a_shard_that_was_of_no_use_is_news_again_when_it_was_mended() -> None:
    broken = replace(entry("a", 0), lost="unreadable-shard")

    known = ledger(broken, entry("b", 4))

    assert known.is_news(replace(broken.ref, sha256="mended"))
    assert not known.is_news(broken.ref)
    assert not known.is_news(replace(known.entries["b"].ref, sha256="other"))


def test_a_run_state_survives_json() -> None:
    new = [entry("a", 40)]
    state = RunState(ledger=ledger(replace(new[0], skipped=("x",)), entry("b", 0)), position=7, step=12, parent="p")
    state.plan, state.plan_step = plan_new(recipe(), state.ledger, new, START), 4

    assert RunState.from_plain(state.to_plain()) == state


@given(st.integers(0, 10_000), st.lists(st.integers(0, 500), min_size=1))
def test_apportioned_parts_add_up_and_follow_their_weights(total: int, weights: list[int]) -> None:
    parts = apportion(total, weights)

    whole = sum(weights)
    assert sum(parts) == (total if whole else 0)
    assert all(abs(part - total * weight / whole) < 1 for part, weight in zip(parts, weights, strict=True) if whole)


@given(st.integers(0, 200), st.integers())
def test_a_permutation_holds_every_number_once(count: int, key: int) -> None:
    assert sorted(permutation(count, key)) == list(range(count))


def test_random_numbers_are_a_function_of_their_key() -> None:
    assert list(uniforms(3, 1, "view", 2)) == list(uniforms(3, 1, "view", 2))
    assert list(uniforms(3, 1, "view", 2)) != list(uniforms(3, 1, "view", 3))
    assert all(0 <= number < 1 for number in uniforms(100, 0))


def test_a_batch_that_does_not_divide_is_refused_with_both_numbers() -> None:
    with pytest.raises(UsageError, match="batch of 4 cannot be dealt to 3 processes"):
        recipe().for_processes(3)
