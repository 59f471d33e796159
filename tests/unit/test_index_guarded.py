"""Pictures of benchmarks and held-out samples, and what may not come near them."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from entityflow.benchmarks import benchmark_fingerprint
from entityflow.heldout import is_heldout
from entityflow.records import Benchmark
from services.index.answering import match_of, verdict_of
from services.index.guarded import GuardedPictures
from services.index.verdicts import Cuts, Judge, Refused
from tests.unit.test_index_verdicts import ROW_LIMIT, SIZES, MemoryState, fingerprint, hashes, image

SHARE = 0.5
CUTS = Cuts(heldout_share=SHARE, max_benchmark_distance=10)
HELD, TRAINED = (next(n for n in range(1, 99) if is_heldout(image(n), SHARE) is wanted) for wanted in (True, False))
FAR = 2**64 - 1


def benchmark_picture(look, name="birds", version=1):
    return benchmark_fingerprint(name, version, look)


def answers(log, cuts=CUTS, state=None, sizes=(1,)):
    state, found, at, turn = state or MemoryState(), [], 0, 0
    judge = Judge(state, ROW_LIMIT, cuts)
    while at < len(log):
        size = sizes[turn % len(sizes)]
        given_answers, change = judge.judge(list(enumerate(log))[at : at + size])
        state.take_up(change)
        found, at, turn = found + given_answers, at + size, turn + 1
    return found


def flipped(value, bits):
    return value ^ ((1 << bits) - 1)


def test_a_newcomer_near_a_held_out_picture_is_refused_and_not_remembered():
    held = fingerprint(HELD, hashes(0, FAR))
    near, next_to_near = hashes(flipped(0, 10), FAR >> 32), hashes(flipped(0, 11), FAR >> 32)
    state = MemoryState()

    found = answers([held, fingerprint(1001, near), fingerprint(1002, next_to_near)], state=state)

    assert found[1] == Refused(Benchmark(index_version=0, name="heldout", distance=10))
    assert found[2].is_canonical
    assert set(state.known) == {image(HELD), image(1002)}


def test_a_copy_of_a_held_out_picture_joins_it_and_who_came_before_stays():
    held, trained = fingerprint(HELD, hashes(0, FAR)), fingerprint(TRAINED, hashes(flipped(0, 8), FAR >> 32))
    copy = fingerprint(1001, hashes(flipped(0, 3), 0xABCD << 9))

    found = answers([trained, held, copy])

    assert found[0].is_canonical
    assert found[1].is_canonical
    assert found[2].canonical_id == image(HELD)


def test_what_a_benchmark_has_is_refused_from_then_on_and_known_pictures_keep_their_verdict():
    early, late = fingerprint(1, hashes(0, FAR)), fingerprint(2, hashes(flipped(0, 6), FAR >> 32))
    again = fingerprint(1, hashes(0, FAR))

    found = answers([early, benchmark_picture(hashes(flipped(0, 5), FAR >> 20)), late, again], Cuts())

    assert found[2] == Refused(Benchmark(index_version=1, name="birds", distance=1))
    assert found[3] == found[0]
    assert found[0].is_canonical


def test_a_pair_tells_the_nearest_picture_of_a_benchmark_and_the_version_that_was_asked():
    bird = benchmark_picture(hashes(0, FAR), version=3)
    near, far = fingerprint(1, hashes(flipped(0, 12), FAR >> 32)), fingerprint(2, hashes(FAR - 1, 0xF0F0 << 40))

    found = answers([fingerprint(9, hashes(0x1234 << 30, 5)), bird, near, far], Cuts())

    assert found[0].benchmark is None
    assert found[2].benchmark == Benchmark(index_version=3, name="birds", distance=12)
    assert found[3].benchmark == Benchmark(index_version=3, name="", distance=64)


def test_the_cut_is_a_setting():
    log = [benchmark_picture(hashes(0, FAR)), fingerprint(1, hashes(flipped(0, 4), FAR >> 32))]

    assert isinstance(answers(log, Cuts(max_benchmark_distance=4))[1], Refused)
    assert answers(log, Cuts(max_benchmark_distance=3))[1].is_canonical
    assert answers(log, Cuts(max_benchmark_distance=-1))[1].is_canonical


def test_one_that_only_its_hash_is_near_is_let_pass():
    black, white = "80" + "0" * 64 + "8" * 32, "80" + "f" * 64 + "8" * 32
    log = [benchmark_picture(hashes(0, FAR, detail=black)), fingerprint(1, hashes(0, FAR, detail=white))]

    assert answers(log, Cuts())[1].is_canonical


def test_a_benchmark_that_is_added_again_changes_nothing():
    bird = hashes(0, FAR)
    state = MemoryState()

    first, again, other = answers(
        [benchmark_picture(bird), benchmark_picture(bird, version=2), benchmark_picture(bird, "cars", 2)],
        state=state,
    )

    assert again == first
    assert other.name == "cars"
    assert len(state.stored_guarded) == 2


def test_guarded_pictures_may_come_in_any_order():
    log = [benchmark_picture(hashes(n << 20, FAR - n)) for n in range(40)]
    known = [one for one in answers(log, Cuts()) if one is not None]
    shuffled = random.Random(3).sample(known, len(known))
    one_by_one = GuardedPictures()

    for one in shuffled:
        one_by_one.add(one)

    probe = hashes(7 << 20, 1)
    assert one_by_one.nearest(probe, 99) == GuardedPictures(known).nearest(probe, 99)
    assert one_by_one.nearest(probe, 5) == GuardedPictures(known[:5]).nearest(probe, 99)


@st.composite
def logs(draw):
    """Pictures around a few centres, some of them of a benchmark, some held out."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    centres = [(rng.getrandbits(64), rng.getrandbits(64)) for _ in range(3)]
    log, looks = [], {}
    for _ in range(draw(st.integers(1, 40))):
        number = rng.randrange(30)
        if number not in looks:
            phash, dhash = rng.choice(centres)
            for _ in range(rng.randrange(14)):
                phash ^= 1 << rng.randrange(64)
            looks[number] = hashes(phash, dhash ^ rng.getrandbits(64), low_detail=rng.random() < 0.1)
        if rng.random() < 0.2:
            log.append(benchmark_picture(looks[number], rng.choice("ab"), rng.randrange(1, 3)))
        else:
            log.append(fingerprint(number, looks[number], passed=rng.random() > 0.1))
    return log


@given(logs(), SIZES)
@settings(max_examples=100, deadline=None)
def test_the_answers_do_not_depend_on_how_the_log_is_cut(log, sizes):
    assert answers(log, sizes=sizes) == answers(log, sizes=(len(log),))


@given(logs(), st.integers(0, 39))
@settings(max_examples=100, deadline=None)
def test_a_replay_answers_the_same_and_adds_nothing(log, start):
    state = MemoryState()
    first, start = answers(log, state=state), min(start, len(log) - 1)

    again, change = Judge(state, ROW_LIMIT, CUTS).judge(list(enumerate(log))[start:])

    assert again == first[start:]
    assert not change.registered
    assert not change.guarded


@given(logs(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_state_made_anew_from_the_topic_is_the_one_that_was_lost(log, shuffled):
    state, rebuilt = MemoryState(), MemoryState()
    given_answers = answers(log, state=state)
    topic = {
        one.image_id: match_of(seq, one, answer, SHARE)
        for seq, (one, answer) in enumerate(zip(log, given_answers, strict=True))
    }
    newest = list(topic.values())
    shuffled.shuffle(newest)

    known = [verdict for match in newest if (verdict := verdict_of(match)) is not None]
    rebuilt.take_up(Judge(rebuilt, ROW_LIMIT, CUTS).restore(known))

    assert rebuilt.known == state.known
    assert rebuilt.stored_rows == state.stored_rows
    assert rebuilt.stored_guarded == state.stored_guarded


@given(logs())
@settings(max_examples=100, deadline=None)
def test_nothing_that_is_accepted_is_near_what_was_guarded_before_it(log):
    state = MemoryState()
    answers(log, state=state)

    for one in state.known.values():
        if one.is_canonical and not one.hashes.low_detail:
            guarded = [other for other in state.stored_guarded.values() if other.seq < one.seq]
            assert all(near is None or near.distance > 10 for near in GuardedPictures(guarded).nearest(one.hashes, 999))
