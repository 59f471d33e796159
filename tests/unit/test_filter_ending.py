import asyncio
from dataclasses import replace

import pytest

from entityflow.records import (
    Amend,
    Benchmark,
    FilteredPair,
    Fingerprint,
    Hashes,
    Image,
    Match,
    Origin,
    Original,
    PairText,
    Permission,
    Url,
)
from services.filter.asking import Questions
from services.filter.ending import ending
from services.filter.judging import Judgement

HERE = Origin(topic_uuid="images", partition=1, offset=10)
ELSEWHERE = Origin(topic_uuid="images", partition=1, offset=3)
CANDIDATE = Url(
    candidate_id="c1",
    url_id="u1",
    address="http://pictures.test/owl.jpg",
    provider="demo",
    query_id="q1",
    entity_id="Q25222",
)
IMAGE = Image(
    image_id="a" * 64,
    payload=b"jpeg",
    format="JPEG",
    width=384,
    height=288,
    original=Original(width=800, height=600, bytes=5000, format="PNG"),
    permission=Permission(decision="allowed"),
    candidate=CANDIDATE,
    url_origin=Origin(topic_uuid="urls", partition=0, offset=1),
)
SIGHTING = replace(IMAGE, payload=None, format=None, width=None, height=None, original=None)
HASHES = Hashes(phash="1" * 16, dhash="2" * 16, version=1)
TEXT = PairText(text="an owl", kind="alt", source="c1")
GOOD = Judgement(None, (TEXT,), None, {"b": 1.0, "a": 2.0}, offered=(TEXT,))
BAD = Judgement("short-text", (), None, offered=(TEXT,))


def match(canonical, origin=HERE, distance=None):
    return Match(
        image_id=IMAGE.image_id, origin=origin, hashes=HASHES, seq=7, canonical_id=canonical, distance=distance
    )


def test_a_canonical_with_this_origin_becomes_a_pair():
    found = ending(IMAGE, HERE, GOOD, match(IMAGE.image_id), heldout=True)

    assert found.result == "accepted"
    assert isinstance(found.record, FilteredPair)
    assert found.record.origin == HERE
    assert found.record.heldout
    assert found.record.hashes == HASHES
    assert list(found.record.stats) == ["a", "b"]
    assert found.record.entities[0].query_ids == ("q1",)


def test_what_was_accepted_once_stays_accepted_under_other_rules():
    found = ending(IMAGE, HERE, BAD, match(IMAGE.image_id), heldout=False)

    assert found.result == "accepted"
    assert found.record.texts == (TEXT,)


@pytest.mark.parametrize(("name", "reason"), [("heldout", "near-heldout"), ("cub-200", "benchmark")])
def test_what_is_too_near_to_a_guarded_picture_ends_with_its_reason(name, reason):
    refused = replace(match(None), benchmark=Benchmark(index_version=1, name=name, distance=6))

    assert ending(IMAGE, HERE, GOOD, refused, heldout=False).result == reason
    assert ending(IMAGE, HERE, BAD, refused, heldout=False).result == "short-text"


def test_the_same_picture_of_another_candidate_is_merged_into_itself():
    found = ending(IMAGE, HERE, GOOD, match(IMAGE.image_id, ELSEWHERE), heldout=False)

    assert found.result == "merged"
    assert isinstance(found.record, Amend)
    assert (found.record.image_id, found.record.kind, found.record.candidate_id) == (IMAGE.image_id, "merge", "c1")
    assert found.record.duplicate_image_id is None
    assert found.record.sources[0].url == CANDIDATE.address


def test_a_copy_is_merged_into_the_canonical():
    found = ending(IMAGE, HERE, GOOD, match("b" * 64, distance=2), heldout=False)

    assert found.result == "merged"
    assert (found.record.image_id, found.record.duplicate_image_id, found.record.distance) == (
        "b" * 64,
        IMAGE.image_id,
        2,
    )


def test_a_sighting_of_a_known_picture_is_merged_and_never_accepted():
    found = ending(SIGHTING, HERE, GOOD, match(IMAGE.image_id, HERE), heldout=False)

    assert found.result == "merged"


def test_what_did_not_pass_ends_with_its_reason():
    assert ending(IMAGE, HERE, BAD, match(None), heldout=False).result == "short-text"
    assert ending(IMAGE, HERE, BAD, match("b" * 64), heldout=False).result == "short-text"


def test_an_unknown_sighting_is_fetched_once_more_and_then_ends():
    first = ending(SIGHTING, HERE, GOOD, match(None), heldout=False)
    again = replace(SIGHTING, candidate=first.record)

    assert first.result is None
    assert first.record == replace(CANDIDATE, refetch=True)
    assert ending(again, HERE, GOOD, match(None), heldout=False).result == "unknown-picture"


FINGERPRINT = Fingerprint(image_id=IMAGE.image_id, origin=HERE, passed=True, hashes=HASHES)


class Index:
    """Stands where the shell sends; says when a fingerprint arrived."""

    def __init__(self):
        self.asked = []
        self.arrived = asyncio.Event()

    async def send(self, sends):
        self.asked += [send.record for send in sends]
        self.arrived.set()


async def test_a_question_ends_with_the_answer_for_its_image():
    index = Index()
    questions = Questions(index.send, ask_again_seconds=60)
    asking = asyncio.create_task(questions.ask(FINGERPRINT))
    await index.arrived.wait()

    questions.answered("b" * 64, match("b" * 64), None)
    questions.answered(IMAGE.image_id, match("b" * 64), None)

    assert (await asking).canonical_id == "b" * 64
    assert index.asked == [FINGERPRINT]
    assert not questions._open


async def test_unknown_answers_only_who_was_told_so():
    index = Index()
    questions = Questions(index.send, ask_again_seconds=60)
    asking = asyncio.create_task(questions.ask(FINGERPRINT))
    await index.arrived.wait()

    questions.answered(IMAGE.image_id, match(None, ELSEWHERE), None)
    questions.answered(IMAGE.image_id, match(IMAGE.image_id), None)

    assert (await asking).canonical_id == IMAGE.image_id


async def test_a_question_without_an_answer_is_asked_again():
    index = Index()
    questions = Questions(index.send, ask_again_seconds=0.01)
    asking = asyncio.create_task(questions.ask(FINGERPRINT))
    while len(index.asked) < 3:
        index.arrived.clear()
        await index.arrived.wait()

    questions.answered(IMAGE.image_id, match(IMAGE.image_id), None)

    assert (await asking).canonical_id == IMAGE.image_id
    assert set(index.asked) == {FINGERPRINT}


async def test_a_question_that_is_given_up_leaves_nothing():
    index = Index()
    questions = Questions(index.send, ask_again_seconds=60)
    asking = asyncio.create_task(questions.ask(FINGERPRINT))
    await index.arrived.wait()

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert not questions._open
