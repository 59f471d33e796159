"""What a sample becomes by merges, removals and tombstones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.records import MAX_SOURCES, MAX_TEXTS, Amend, FilteredPair, PairEntity
from services.sharder.folding import Fate, fold
from services.sharder.samples import description, members, pair_of
from tests.amends import forgotten, merge, removal, without
from tests.filtered_pairs import pair

NOTHING = forgotten()


def candidates(fate: Fate) -> list[str]:
    assert fate.pair is not None
    return [source.candidate_id for source in fate.pair.sources]


def texts(fate: Fate) -> list[str]:
    assert fate.pair is not None
    return [text.text for text in fate.pair.texts]


def test_a_sample_of_which_nothing_was_learned_is_the_same():
    assert fold(pair(0), [], NOTHING) == Fate(pair(0))


def test_a_sample_comes_back_whole_from_its_members():
    picture, _, described = (data for _, data in members(pair(0)))

    assert pair_of(described, picture) == pair(0)
    assert "payload" not in description(pair(0))


def test_a_merge_adds_texts_entities_source_and_evidence_behind_the_own_ones():
    fate = fold(pair(0), [merge(0, "d")], NOTHING)

    assert candidates(fate) == ["c", "d"]
    assert texts(fate) == ["title 0", "ält 0", "seen again by d"]
    assert fate.pair.entities == (PairEntity(id="Q0"), PairEntity(id="Q1", query_ids=("q-d",)))
    assert fate.pair.permission.evidence == ("robots.txt of d",)
    assert (fate.pair.payload, fate.pair.image_id) == (pair(0).payload, pair(0).image_id)


def test_a_candidate_is_folded_once_however_often_it_comes():
    once = fold(pair(0), [merge(0, "d")], NOTHING)

    assert fold(pair(0), [merge(0, "d"), merge(0, "d"), merge(0, "c")], NOTHING) == once
    assert fold(once.pair, [merge(0, "d", texts=())], NOTHING).pair == once.pair


def test_of_two_merges_of_one_candidate_the_same_one_counts_in_any_order():
    one, other = merge(0, "d"), merge(0, "d", texts=merge(0, "e").texts)

    assert fold(pair(0), [one, other], NOTHING) == fold(pair(0), [other, one], NOTHING)


@pytest.mark.parametrize("kind", ["decontaminate", "refilter", "forget"])
def test_a_removal_without_a_candidate_takes_the_sample_out(kind):
    fate = fold(pair(0), [merge(0, "d"), removal(0, kind, "near-benchmark")], NOTHING)

    assert fate == Fate(None, "forgotten" if kind == "forget" else "near-benchmark", forgotten=int(kind == "forget"))


def test_a_removal_with_a_candidate_takes_that_source_out_whether_it_was_folded_or_not():
    taken = removal(0, "refilter", candidate="d")
    before = fold(pair(0), [merge(0, "d")], NOTHING).pair

    assert candidates(fold(before, [taken], NOTHING)) == ["c"]
    assert candidates(fold(pair(0), [merge(0, "d"), taken, merge(0, "e")], NOTHING)) == ["c", "e"]
    assert fold(pair(0), [removal(0, "refilter", "short-text", candidate="c")], NOTHING).reason == "short-text"


def test_a_picture_that_is_forgotten_by_its_hash_leaves():
    fate = fold(pair(0), [merge(0, "d")], forgotten(sha256=pair(0).image_id))

    assert fate == Fate(None, "forgotten", forgotten=1)


@pytest.mark.parametrize(
    "named",
    [{"url": "http://d.test/x"}, {"page": "http://p.test/d"}, {"host": "d.test"}],
    ids=lambda named: next(iter(named)),
)
def test_a_source_that_is_forgotten_leaves_with_its_texts_and_the_sample_stays(named):
    before = fold(pair(0), [merge(0, "d"), merge(0, "e")], NOTHING).pair

    fate = fold(before, [], forgotten(**named))

    assert candidates(fate) == ["c", "e"]
    assert texts(fate) == ["title 0", "ält 0", "seen again by e"]
    assert fate.forgotten == 1
    assert fold(fate.pair, [merge(0, "d")], forgotten(**named)).pair == fate.pair


@pytest.mark.parametrize("named", [{"url": "http://h.test/0"}, {"host": "h.test"}])
def test_a_sample_whose_first_source_is_forgotten_leaves_though_others_are_left(named):
    before = fold(pair(0), [merge(0, "d")], NOTHING).pair

    assert fold(before, [], forgotten(**named)) == Fate(None, "forgotten", forgotten=1)


def test_a_copy_that_is_forgotten_by_its_own_hash_takes_its_source_along():
    copy = merge(0, "d", copy="ab" * 32)
    before = fold(pair(0), [copy, merge(0, "e")], NOTHING).pair

    fate = fold(before, [copy], forgotten(sha256="ab" * 32))

    assert candidates(fate) == ["c", "e"]
    assert fate.forgotten == 1


def test_texts_that_say_nothing_leave_and_the_sample_with_the_last_of_them():
    title, alt = pair(0).texts
    (seen,) = merge(0, "d").texts

    assert texts(fold(pair(0), [without(0, title)], NOTHING)) == ["ält 0"]
    assert texts(fold(pair(0), [without(0, title, alt), merge(0, "d")], NOTHING)) == ["seen again by d"]
    assert fold(pair(0), [without(0, title, seen), without(0, alt), merge(0, "d")], NOTHING) == Fate(
        None, "common-text"
    )
    assert fold(pair(0), [without(0, seen)], NOTHING) == Fate(pair(0))


def test_kinds_of_a_later_version_change_nothing():
    assert fold(pair(0), [removal(0, "re-imagine")], NOTHING) == Fate(pair(0))


def test_lists_end_at_their_caps_and_what_is_over_is_counted():
    fate = fold(pair(0), [merge(0, f"m{number:03d}") for number in range(100)], NOTHING)

    assert (len(fate.pair.sources), len(fate.pair.texts)) == (MAX_SOURCES, MAX_TEXTS)
    assert fate.over_caps == 101 - MAX_SOURCES + 2 + 63 - MAX_TEXTS
    assert {text.source for text in fate.pair.texts} <= set(candidates(fate))


learned = st.lists(
    st.one_of(
        st.builds(merge, st.just(0), st.sampled_from("cdefg"), st.sampled_from([None, "ab" * 32, "cd" * 32])),
        st.builds(
            removal, st.just(0), st.sampled_from(["refilter", "decontaminate"]), st.none(), st.sampled_from("de")
        ),
        st.builds(without, st.just(0), st.sampled_from([*pair(0).texts, *merge(0, "d").texts, *merge(0, "e").texts])),
        st.builds(removal, st.just(0), st.just("forget"), st.none(), st.sampled_from(["f", None])),
    ),
    max_size=8,
)
stones = st.sampled_from(
    [
        {},
        {"host": "d.test"},
        {"url": "http://e.test/x"},
        {"sha256": "ab" * 32},
        {"page": "http://p.test/g", "host": "f.test"},
    ]
)


@given(learned, stones, st.data())
def test_any_order_of_what_was_learned_gives_the_same_sample(amends: list[Amend], named, data):
    shuffled = data.draw(st.permutations([*amends, *amends[:2]]))

    assert fold(pair(0), shuffled, forgotten(**named)) == fold(pair(0), amends, forgotten(**named))


def merges_of(amends: list[Amend]) -> list[Amend]:
    return list({one.candidate_id: one for one in amends if one.kind == "merge"}.values())


@given(learned, st.integers(0, 8))
def test_merges_learned_in_two_parts_give_the_same_sample_as_in_one(amends, at):
    merges = merges_of(amends)

    part = fold(pair(0), merges[:at], NOTHING)

    assert fold(part.pair, merges, NOTHING) == fold(pair(0), merges, NOTHING)


@given(learned, st.integers(0, 8), stones)
def test_what_is_forgotten_later_leaves_the_sources_and_texts_of_a_sample_that_never_had_it(amends, at, named):
    merges = merges_of(amends)
    part = fold(pair(0), merges[:at], NOTHING)

    later = fold(part.pair, merges, forgotten(**named)).pair

    at_once = fold(pair(0), merges, forgotten(**named)).pair
    assert shown(later) == shown(at_once)


def shown(sample: FilteredPair | None) -> object:
    return sample and (sample.sources, sample.texts)
