"""The filter passes on nothing that is forgotten."""

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from entityflow.objects import Objects
from entityflow.records import Fingerprint, Image, Match, Outcome
from entityflow.stage import Message, Received, Send
from entityflow.tombstones import Tombstones, tombstone_of
from services.filter.asking import Questions
from services.filter.judging import Rules
from services.filter.keeping import Examples
from services.filter.names import Names
from services.filter.picture_rules import PictureLimits
from services.filter.service import Filter
from services.filter.text_rules import TextLimits
from tests.memory_objects import MemoryObjects
from tests.unit.test_filter_judging import image

PICTURE: Image = replace(image(), image_id="ab" * 32)  # type: ignore[no-untyped-call]
MESSAGE = Message("image", 0, 5, None, None, {}, 0, "images")


class Line:
    """A filter whose index calls every picture a copy of `canonical`; `while_asked` happens before it answers."""

    def __init__(self, canonical: str = "cd" * 32) -> None:
        self.tombstones = Tombstones()
        self.asked: list[Fingerprint] = []
        self.while_asked: tuple[str, str] | None = None
        self._canonical = canonical
        self._questions = Questions(self._answer, 30)
        rules = Rules(PictureLimits(), TextLimits())
        none_kept = Examples(lambda: cast(Objects, MemoryObjects()), self.tombstones, 0)
        self._filter = Filter(rules, Names(rules), self._questions, 0.2, self.tombstones, none_kept)

    def forget(self, kind: str, text: str) -> None:
        made = tombstone_of(kind, text, at=1.0)
        self.tombstones.learn(made.id, made)

    async def _answer(self, sends: Iterable[Send]) -> None:
        for send in sends:
            assert isinstance(send.record, Fingerprint)
            self.asked.append(send.record)
            if self.while_asked:
                self.forget(*self.while_asked)
            hashes, origin = send.record.hashes, send.record.origin
            match = Match(image_id=PICTURE.image_id, origin=origin, hashes=hashes, seq=1, canonical_id=self._canonical)
            self._questions.answered(PICTURE.image_id, match, MESSAGE)

    async def results(self, record: Image) -> list[tuple[str, str | None]]:
        """(topic, result) of what follows."""
        sends = await self._filter.step(Received(record, MESSAGE))
        return [(send.topic, getattr(send.record, "result", None)) for send in sends]


async def test_without_a_tombstone_the_picture_goes_on() -> None:
    assert await Line().results(PICTURE) == [("amend", None), ("outcome", "merged")]


async def test_a_forgotten_picture_is_not_even_asked_for() -> None:
    line = Line()
    line.forget("sha256", PICTURE.image_id)

    assert await line.results(PICTURE) == [("outcome", "forgotten")]
    assert line.asked == []


async def test_a_picture_from_a_forgotten_address_ends_and_its_outcome_does_not_name_it() -> None:
    line = Line()
    line.forget("url", PICTURE.candidate.address)

    (send,) = await line._filter.step(Received(PICTURE, MESSAGE))

    assert isinstance(send.record, Outcome)
    assert (send.record.result, send.record.address, send.record.host) == ("forgotten", None, None)


async def test_what_is_forgotten_while_the_index_is_asked_is_refused_all_the_same() -> None:
    line = Line()
    line.while_asked = ("sha256", PICTURE.image_id)

    assert await line.results(PICTURE) == [("outcome", "forgotten")]


async def test_a_copy_of_a_forgotten_picture_is_refused() -> None:
    line = Line(canonical="ef" * 32)
    line.forget("sha256", "ef" * 32)

    assert await line.results(PICTURE) == [("outcome", "forgotten")]
