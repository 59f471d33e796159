"""filter: image -> filtered-pair

Judges each picture and its texts, asks the index whether the picture is known, and ends the candidate: a new pair, a
merge into the sample that has the picture, or a reason. Keeps nothing.
Safe to replay: the index answers the same again, and an acceptance is told by where the image lies in `image`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from entityflow.addresses import BadAddress, parse_address
from entityflow.heldout import is_heldout
from entityflow.metrics import FILTER_LOW_DETAIL, FILTER_TEXTS_DROPPED, OUTCOMES
from entityflow.objects import Objects
from entityflow.records import Amend, FilteredPair, Fingerprint, Image, Outcome, Url
from entityflow.settings import load_settings
from entityflow.stage import Received, Send, Shell
from entityflow.tombstones import FORGOTTEN, Tombstones
from entityflow.turns import Turns
from services.filter.asking import Questions
from services.filter.ending import Ending, ending
from services.filter.judging import Judgement, Rules
from services.filter.keeping import Examples
from services.filter.names import Names
from services.filter.settings import FilterSettings, rules_of

EXAMPLES_BUDGET_SECONDS = 2.0
TOPIC_OF = {FilteredPair: "filtered-pair", Amend: "amend", Url: "url"}


class Filter:
    """The step of the stage, over its rules, the names of entities and the open questions."""

    def __init__(
        self,
        rules: Rules,
        names: Names,
        questions: Questions,
        heldout_share: float,
        tombstones: Tombstones,
        examples: Examples,
    ) -> None:
        self._examples = examples
        self._rules, self._names, self._questions, self._tombstones = rules, names, questions, tombstones
        self._heldout_share = heldout_share
        # a sighting is judged at once and its picture is not: without turns it would ask the index before the picture
        # has, learn that nobody knows it, and have the address fetched again
        self._turns = Turns()

    async def step(self, received: Received[Image]) -> list[Send]:
        """Judge in a thread, ask, end; a sighting after the picture that came before it."""
        async with self._turns.of(received.record.image_id):
            return await self._end(received)

    async def _end(self, received: Received[Image]) -> list[Send]:
        image, origin = received.record, received.message.origin
        if self._tombstones.of_image(image):
            return [_forgotten(image)]
        began = time.monotonic()
        judgement = await asyncio.to_thread(self._rules.image, image, self._names.of(image.candidate.entity_id))
        judged = time.monotonic()
        _count(judgement)
        match = await self._questions.ask(
            Fingerprint(
                image_id=image.image_id,
                origin=origin,
                passed=judgement.passed,
                hashes=judgement.appearance.hashes if judgement.appearance else None,
            )
        )
        if self._tombstones.of_image(image) or self._tombstones.of_picture(match.canonical_id or ""):
            return [_forgotten(image)]
        spent = {"judge": (judged - began) * 1000, "index": (time.monotonic() - judged) * 1000}
        found = ending(image, origin, judgement, match, is_heldout(image.image_id, self._heldout_share))
        self._examples.offer(image, judgement, match, found)
        return list(_sends(image, found, spent))


def _sends(image: Image, found: Ending, spent: dict[str, float]) -> Iterator[Send]:
    if found.record is not None:
        key = _host_key(found.record) if isinstance(found.record, Url) else None
        yield Send(TOPIC_OF[type(found.record)], found.record, key=key)
    if found.result is not None:
        OUTCOMES.labels("filter", found.result).inc()
        yield Send("outcome", _outcome(image, found.result, spent))


def _forgotten(image: Image) -> Send:
    """Refused, and so is a copy of a forgotten picture. The outcome does not repeat the address."""
    OUTCOMES.labels("filter", FORGOTTEN).inc()
    return Send("outcome", replace(_outcome(image, FORGOTTEN, {}), address=None, host=None))


def _outcome(image: Image, result: str, spent: dict[str, float]) -> Outcome:
    candidate = image.candidate
    return Outcome(
        candidate_id=candidate.candidate_id,
        url_id=candidate.url_id,
        query_id=candidate.query_id,
        entity_id=candidate.entity_id,
        round=candidate.round,
        rank=candidate.rank,
        provider=candidate.provider,
        host=_host_key(candidate),
        address=candidate.address,
        stage="filter",
        result=result,
        url_origin=image.url_origin,
        image_id=image.image_id,
        bytes=len(image.payload) if image.payload is not None else None,
        milliseconds={name: round(value, 1) for name, value in spent.items()},
        at=time.time(),
    )


def _host_key(candidate: Url) -> str | None:
    try:
        return parse_address(candidate.address).host_key
    except BadAddress:
        return None


def _count(judgement: Judgement) -> None:
    for reason in judgement.dropped_texts:
        FILTER_TEXTS_DROPPED.labels(reason).inc()
    if judgement.appearance and judgement.appearance.hashes and judgement.appearance.hashes.low_detail:
        FILTER_LOW_DETAIL.inc()


def build(settings: FilterSettings) -> Shell:
    """The service, wired and not yet running."""
    section, heldout_share = settings.domain_section()
    rules = rules_of(section)
    shell = Shell("filter", settings)
    names = Names(rules)
    questions = Questions(shell.send, settings.filter_ask_again_seconds)
    tombstones = Tombstones()
    shell.table("entity", names.apply)
    shell.table("tombstone", tombstones.learn)
    shell.table("match", questions.answered, follows="image", start="end")
    examples = Examples(lambda: Objects(settings, EXAMPLES_BUDGET_SECONDS), tombstones, settings.filter_examples)
    shell.every(settings.filter_examples_seconds, examples.flush)
    step = Filter(rules, names, questions, heldout_share, tombstones, examples).step
    shell.map("image", step, concurrency=settings.filter_concurrency)
    return shell


def main() -> None:
    sys.exit(build(load_settings(FilterSettings)).run())


if __name__ == "__main__":
    main()
