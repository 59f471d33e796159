"""Some example pictures for each reason, written to the bucket beside the work: never waited for, never a fault."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import structlog

from entityflow.errors import EntityflowError
from entityflow.examples import MAX_TEXT, Example, is_covered, kept_examples, thumbnail
from entityflow.objects import Objects
from entityflow.records import Image, Match
from entityflow.tombstones import Tombstones
from services.filter.ending import ACCEPTED, MERGED, Ending
from services.filter.judging import BROKEN_PICTURE, Judgement

WRITTEN_AT_ONCE = 400  # at about 35 kB
NOT_SHOWN = (ACCEPTED, BROKEN_PICTURE)


class Examples:
    """open_objects: a client of the bucket with little patience. most: a reason."""

    def __init__(self, open_objects: Callable[[], Objects], tombstones: Tombstones, most: int) -> None:
        self._open, self._tombstones, self._most = open_objects, tombstones, most
        self._counts: Counter[str] | None = None
        self._waiting: dict[str, tuple[Example, bytes]] = {}

    def offer(self, image: Image, judgement: Judgement, match: Match, ending: Ending) -> None:
        """Take it where its reason has too few; an accepted picture is seen elsewhere."""
        reason, payload = ending.result, image.payload
        if reason is None or reason in NOT_SHOWN or payload is None or len(self._waiting) >= WRITTEN_AT_ONCE:
            return
        if reason == MERGED and match.canonical_id == image.image_id:
            return
        example = _example(reason, image, judgement, match)
        waiting = sum(one.reason == reason for one, _ in self._waiting.values())
        if (self._counts or Counter())[reason] + waiting < self._most:
            self._waiting[example.key] = (example, payload)

    async def flush(self) -> None:
        """Write what was taken. A bucket that is away costs the examples, nothing else."""
        if not self._most or not self._waiting:
            return
        waiting, self._waiting = self._waiting, {}
        try:
            await asyncio.to_thread(self._write, list(waiting.values()))
        except (EntityflowError, OSError) as exc:
            structlog.get_logger().warning("examples_not_written", count=len(waiting), error=str(exc))

    def _write(self, chosen: list[tuple[Example, bytes]]) -> None:
        objects = self._open()
        kept = {reason: set(images) for reason, images in kept_examples(objects).items()}
        for example, payload in chosen:
            images = kept.setdefault(example.reason, set())
            if len(images) < self._most and not is_covered(example, self._tombstones):
                objects.put(example.key, thumbnail(example, payload))
                images.add(example.image_id)
        self._counts = Counter({reason: len(images) for reason, images in kept.items()})


def _example(reason: str, image: Image, judgement: Judgement, match: Match) -> Example:
    merged = reason == MERGED
    text = judgement.offered[0].text[:MAX_TEXT] if judgement.offered else None
    return Example(
        reason=reason,
        image_id=image.image_id,
        candidate_id=image.candidate.candidate_id,
        text=text,
        canonical_id=match.canonical_id if merged else None,
        distance=match.distance if merged else None,
        url=image.final_url or image.candidate.address,
        page_url=image.candidate.page_url,
    )
