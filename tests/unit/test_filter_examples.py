"""Thumbnails of what was dropped: a few a reason, readable again, gone when they are forgotten."""

import asyncio
from dataclasses import replace

import pytest

from entityflow.errors import Retryable
from entityflow.examples import covered_examples, example_of, kept_examples
from entityflow.records import Match
from entityflow.tombstones import Tombstones, tombstone_of
from services.filter.ending import Ending
from services.filter.judging import Rules
from services.filter.keeping import Examples
from services.filter.picture_rules import PictureLimits
from services.filter.text_rules import TextLimits
from tests.memory_objects import MemoryObjects
from tests.unit.test_filter_judging import image, jpeg

RULES = Rules(PictureLimits(), TextLimits())
MOST = 3


def one(number, address="http://p.test/a", **texts):
    made = image(**texts)
    return replace(
        made,
        image_id=f"{number:064x}",
        candidate=replace(made.candidate, address=address, page_url="http://p.test/page"),
    )


def offer(examples, shown, result, canonical=None, distance=None):
    match = Match(image_id=shown.image_id, seq=1, canonical_id=canonical, distance=distance)
    examples.offer(shown, RULES.image(shown), match, Ending(result))


def test_a_few_of_each_reason_are_kept_with_what_is_known_of_them():
    objects, tombstones = MemoryObjects(), Tombstones()
    examples = Examples(lambda: objects, tombstones, MOST)

    for number in range(6):
        offer(examples, one(number, alt_text=f"IMG_{number:04d}"), "file-name")
    offer(examples, one(9), "merged", canonical="c" * 64, distance=2)
    asyncio.run(examples.flush())
    offer(examples, one(7, alt_text="IMG_0007"), "file-name")
    asyncio.run(examples.flush())

    assert {reason: len(images) for reason, images in kept_examples(objects).items()} == {
        "file-name": MOST,
        "merged": 1,
    }
    merged = example_of(objects.get(f"examples/merged/{9:064x}.jpg"))
    assert (merged.text, merged.canonical_id, merged.distance) == ("a snowy owl", "c" * 64, 2)


def test_what_is_seen_elsewhere_or_has_no_picture_is_not_kept():
    objects = MemoryObjects()
    examples = Examples(lambda: objects, Tombstones(), MOST)
    shown = one(1)

    offer(examples, shown, "accepted", canonical=shown.image_id)
    offer(examples, shown, "merged", canonical=shown.image_id)
    offer(examples, replace(shown, payload=b"broken"), "broken-picture")
    offer(examples, replace(shown, payload=None), "unknown-picture")
    asyncio.run(examples.flush())

    assert objects.content == {}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("sha256", f"{1:064x}"),
        ("sha256", "c" * 64),
        ("url", "http://p.test/a"),
        ("page", "http://p.test/page"),
        ("host", "p.test"),
    ],
)
def test_what_is_forgotten_is_found_among_the_examples_and_never_kept(kind, text):
    objects, tombstones = MemoryObjects(), Tombstones()
    before = Examples(lambda: objects, Tombstones(), MOST)
    offer(before, one(1), "merged", canonical="c" * 64)
    asyncio.run(before.flush())
    tombstone = tombstone_of(kind, text, 0.0)
    assert list(covered_examples(objects, tombstones)) == []

    tombstones.learn(tombstone.id, tombstone)
    covered = list(covered_examples(objects, tombstones))
    objects.delete(covered[0])
    after = Examples(lambda: objects, tombstones, MOST)
    offer(after, one(1), "merged", canonical="c" * 64)
    asyncio.run(after.flush())

    assert covered == [f"examples/merged/{1:064x}.jpg"]
    assert objects.content == {}


def test_what_is_no_example_of_ours_goes_with_the_first_forgetting():
    objects = MemoryObjects()
    objects.put("examples/blank/x.jpg", jpeg())
    objects.put("examples/blank/y.jpg", b"no picture")

    assert len(list(covered_examples(objects, Tombstones()))) == 2


def test_a_bucket_that_is_away_costs_the_examples_only():
    def away():
        raise Retryable("object-store-away")

    examples = Examples(away, Tombstones(), MOST)
    offer(examples, one(1), "blank")

    asyncio.run(examples.flush())
    asyncio.run(examples.flush())
