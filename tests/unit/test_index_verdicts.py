"""The judge against a plain reading of the rule, over logs that hold near hashes, repeats, sightings and failures."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entityflow.records import Fingerprint, Hashes, Origin
from services.index.verdicts import Judge

ROW_LIMIT = 256


class MemoryState:
    """The seam that DiskState fills in the service."""

    def __init__(self):
        self.known, self.stored_rows, self.stored_guarded = {}, {}, {}

    def images(self, image_ids):
        return {image_id: self.known[image_id] for image_id in image_ids if image_id in self.known}

    def canonicals(self, seqs):
        return {one.seq: one for one in self.known.values() if one.is_canonical and one.seq in seqs}

    def rows(self, keys):
        return {key: list(self.stored_rows[key]) for key in keys if key in self.stored_rows}

    def guarded(self):
        return [self.stored_guarded[seq] for seq in sorted(self.stored_guarded)]

    def take_up(self, change):
        self.stored_guarded.update({one.seq: one for one in change.guarded})
        self.known.update({one.image_id: one for one in change.registered})
        self.stored_rows.update(change.rows)


def image(number):
    return f"{number:064x}"


def hashes(phash, dhash, **more):
    return Hashes(phash=f"{phash:016x}", dhash=f"{dhash:016x}", version=1, **more)


def fingerprint(number, look=None, passed=True, partition=0):
    return Fingerprint(
        image_id=image(number),
        origin=Origin(topic_uuid="uuid", partition=partition, offset=number),
        passed=passed,
        hashes=look,
    )


def answers_in_batches(log, sizes, state, row_limit=ROW_LIMIT):
    judge, given_answers, at = Judge(state, row_limit), [], 0
    while at < len(log):
        size = sizes[at % len(sizes)]
        answers, change = judge.judge([(seq, log[seq]) for seq in range(at, min(at + size, len(log)))])
        state.take_up(change)
        given_answers += answers
        at += size
    return given_answers


def verdicts(answers):
    return [answer and (answer.image_id, answer.seq, answer.canonical_id, answer.distance) for answer in answers]


def by_the_rule(log):
    """Every fingerprint against every canonical before it."""
    registered, canonicals, result = {}, [], []
    for seq, one in enumerate(log):
        if one.image_id not in registered and one.passed and one.hashes:
            near = [(found, apart) for found in canonicals if (apart := distance(found[1], one.hashes)) <= 3]
            if near and not one.hashes.low_detail:
                registered[one.image_id] = (one.image_id, seq, near[0][0][0], near[0][1])
            else:
                registered[one.image_id] = (one.image_id, seq, one.image_id, None)
                if not one.hashes.low_detail:
                    canonicals.append((one.image_id, one.hashes))
        result.append(registered.get(one.image_id))
    return result


def distance(one, other):
    return min(
        (int(one.phash, 16) ^ int(other.phash, 16)).bit_count(),
        (int(one.dhash, 16) ^ int(other.dhash, 16)).bit_count(),
    )


@st.composite
def logs(draw):
    """Hashes around a few centres, so that copies, chains of copies and far pictures all occur."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    centres = [(rng.getrandbits(64), rng.getrandbits(64)) for _ in range(4)]
    looks = {}
    log = []
    for _ in range(draw(st.integers(1, 40))):
        number = rng.randrange(25)
        if number not in looks:
            phash, dhash = rng.choice(centres)
            for _ in range(rng.randrange(6)):
                phash ^= 1 << rng.randrange(64)
            for _ in range(rng.randrange(8)):
                dhash ^= 1 << rng.randrange(64)
            looks[number] = hashes(phash, dhash, low_detail=rng.random() < 0.1)
        kind = rng.random()
        if kind < 0.15:
            log.append(fingerprint(number, None, passed=False))
        else:
            log.append(fingerprint(number, looks[number], passed=kind > 0.3, partition=rng.randrange(3)))
    return log


SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=5)


@given(logs(), SIZES)
@settings(max_examples=150, deadline=None)
def test_the_answers_are_those_of_the_rule_however_the_log_is_cut_into_batches(log, sizes):
    state = MemoryState()

    answers = answers_in_batches(log, sizes, state)

    assert verdicts(answers) == by_the_rule(log)


@given(logs(), st.integers(0, 39), SIZES)
@settings(max_examples=100, deadline=None)
def test_a_replay_from_any_offset_gives_the_same_answers(log, start, sizes):
    state = MemoryState()
    first = verdicts(answers_in_batches(log, [5], state))
    start = min(start, len(log) - 1)

    again, change = Judge(state, ROW_LIMIT).judge([(seq, log[seq]) for seq in range(start, len(log))])

    assert verdicts(again) == first[start:]
    assert not change.registered


@given(logs(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_no_two_canonicals_are_near_whatever_the_order_of_the_log(log, shuffled):
    shuffled.shuffle(log)
    state = MemoryState()

    answers_in_batches(log, [4], state)

    canonicals = [one for one in state.known.values() if one.is_canonical and not one.hashes.low_detail]
    assert all(distance(a.hashes, b.hashes) > 3 for a in canonicals for b in canonicals if a is not b)


@given(logs(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_state_rebuilt_from_the_answers_in_any_order_answers_as_before(log, shuffled):
    state, rebuilt = MemoryState(), MemoryState()
    first = verdicts(answers_in_batches(log, [6], state))
    given_answers = list(state.known.values())
    shuffled.shuffle(given_answers)

    rebuilt.take_up(Judge(rebuilt, ROW_LIMIT).restore(given_answers))

    assert rebuilt.known == state.known
    assert rebuilt.stored_rows == state.stored_rows
    assert verdicts(answers_in_batches(log, [3], rebuilt)) == first


def test_a_copy_belongs_to_the_earliest_canonical_not_to_the_nearest():
    log = [
        fingerprint(1, hashes(0b0, 0xAAAA << 20)),
        fingerprint(2, hashes(0b11111, 0x5555 << 40)),
        fingerprint(3, hashes(0b00111, 0x1234 << 10)),
    ]

    answers = answers_in_batches(log, [1], MemoryState())

    assert answers[2].canonical_id == image(1)
    assert answers[2].distance == 3


def test_either_hash_alone_makes_a_copy():
    log = [
        fingerprint(1, hashes(0, 2**64 - 1)),
        fingerprint(2, hashes(2**64 - 1, 2**64 - 2)),
    ]

    answers = answers_in_batches(log, [2], MemoryState())

    assert answers[1].canonical_id == image(1)
    assert answers[1].distance == 1


def test_pictures_that_are_unlike_in_detail_stay_apart_though_their_hashes_are_equal():
    red, blue = "80" + "8" * 64 + "4" * 16 + "d" * 16, "80" + "8" * 64 + "d" * 16 + "4" * 16
    log = [fingerprint(1, hashes(1, 1, detail=red)), fingerprint(2, hashes(1, 1, detail=blue))]

    answers = answers_in_batches(log, [2], MemoryState())

    assert [answer.canonical_id for answer in answers] == [image(1), image(2)]


def test_what_did_not_pass_is_not_registered_until_it_passes():
    look = hashes(5, 6)
    log = [fingerprint(1, look, passed=False), fingerprint(1, None), fingerprint(1, look), fingerprint(1, None)]

    answers = answers_in_batches(log, [1], MemoryState())

    assert verdicts(answers) == [None, None, (image(1), 2, image(1), None), (image(1), 2, image(1), None)]


@pytest.mark.parametrize("size", [1, 20])
def test_a_full_row_keeps_the_earliest_and_is_counted(size):
    spread = [number * 0x9E3779B97F4A7C15 % 2**64 for number in range(20)]
    far = [fingerprint(number, hashes(value << 26 & 2**64 - 1 | 7, value)) for number, value in enumerate(spread)]
    state = MemoryState()

    answers_in_batches(far, [size], state, row_limit=3)

    assert all([entry.seq for entry in row] == sorted(entry.seq for entry in row) for row in state.stored_rows.values())
    assert max(len(row) for row in state.stored_rows.values()) == 3
    fullest = [row for row in state.stored_rows.values() if len(row) == 3]
    assert any([entry.seq for entry in row] == [0, 1, 2] for row in fullest)
