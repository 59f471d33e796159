"""Pictures and their sightings ask the index in the order in which they came."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from entityflow.objects import Objects
from entityflow.records import Fingerprint, Hashes, Image, Match
from entityflow.stage import Message, Received, Send
from entityflow.tombstones import Tombstones
from entityflow.turns import Turns
from services.filter.asking import Questions
from services.filter.judging import Rules
from services.filter.keeping import Examples
from services.filter.names import Names
from services.filter.picture_rules import PictureLimits
from services.filter.service import Filter
from services.filter.text_rules import TextLimits
from tests.memory_objects import MemoryObjects
from tests.unit.test_filter_judging import image

PICTURE: Image = image()  # type: ignore[no-untyped-call]
SIGHTING = replace(PICTURE, payload=None, format=None, width=None, height=None, original=None)


class Index:
    """Answers every fingerprint at once, and remembers in which order they came."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.hashes: Hashes | None = None
        self.questions = Questions(self.produce, 30)

    async def produce(self, sends: Iterable[Send]) -> None:
        for send in sends:
            assert isinstance(send.record, Fingerprint)
            asked = send.record
            self.asked.append(asked.origin.offset)
            self.hashes = asked.hashes or self.hashes
            match = Match(
                image_id=asked.image_id,
                origin=asked.origin,
                hashes=self.hashes,
                seq=len(self.asked),
                canonical_id=asked.image_id,
            )
            self.questions.answered(asked.image_id, match, message(0))


def message(offset: int) -> Message:
    return Message("image", 0, offset, None, None, {}, 0, "images")


def test_a_sighting_asks_after_the_picture_before_it() -> None:
    async def run(images: list[Image]) -> list[int]:
        index = Index()
        rules = Rules(PictureLimits(), TextLimits())
        none_kept = Examples(lambda: cast(Objects, MemoryObjects()), Tombstones(), 0)
        step = Filter(rules, Names(rules), index.questions, 0.2, Tombstones(), none_kept).step
        await asyncio.gather(*(step(Received(one, message(offset))) for offset, one in enumerate(images)))
        return index.asked

    assert asyncio.run(run([PICTURE, SIGHTING, SIGHTING])) == [0, 1, 2]


def test_another_image_waits_for_nobody_and_nothing_is_kept() -> None:
    async def run() -> list[str]:
        turns, go = Turns(), asyncio.Event()
        order: list[str] = []

        async def take(image_id: str, name: str, wait: bool = False) -> None:
            async with turns.of(image_id):
                await (go.wait() if wait else asyncio.sleep(0))
                order.append(name)

        slow, after = asyncio.create_task(take("a", "first", wait=True)), asyncio.create_task(take("a", "second"))
        await take("b", "other")
        go.set()
        await asyncio.gather(slow, after)
        assert not vars(turns)["_locks"]
        return order

    assert asyncio.run(run()) == ["other", "first", "second"]
