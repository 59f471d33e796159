"""Asking the index: a fingerprint out, the answer for its image back through the `match` topic."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from entityflow.metrics import FILTER_ASKED_AGAIN
from entityflow.records import Fingerprint, Match, Record
from entityflow.stage import Message, Send

Produce = Callable[[Iterable[Send]], Awaitable[None]]


class Questions:
    """Open questions by image_id; of the answers on `match` only those waited for are kept.

    While the index is away the questions stay open, and with them the places of the stage: it takes no more.
    """

    def __init__(self, produce: Produce, ask_again_seconds: float) -> None:
        self._produce, self._ask_again_seconds = produce, ask_again_seconds
        self._open: dict[str, list[_Question]] = {}

    async def ask(self, fingerprint: Fingerprint) -> Match:
        """The index's answer, however long it takes."""
        question = _Question(fingerprint)
        waiting = self._open.setdefault(fingerprint.image_id, [])
        waiting.append(question)
        try:
            while True:
                await self._produce([Send("fingerprint", fingerprint, partition=0)])
                try:
                    return await asyncio.wait_for(asyncio.shield(question.answer), self._ask_again_seconds)
                except TimeoutError:
                    FILTER_ASKED_AGAIN.inc()
        finally:
            waiting.remove(question)
            if not waiting:
                self._open.pop(fingerprint.image_id, None)

    def answered(self, key: str, record: Record | None, _message: Message) -> None:
        """A record of `match` came by."""
        if isinstance(record, Match):
            for question in self._open.get(key, ()):
                if question.is_answered_by(record) and not question.answer.done():
                    question.answer.set_result(record)


class _Question:
    def __init__(self, fingerprint: Fingerprint) -> None:
        self.fingerprint = fingerprint
        self.answer: asyncio.Future[Match] = asyncio.get_running_loop().create_future()

    def is_answered_by(self, match: Match) -> bool:
        """A verdict answers everyone who asked for the image; "unknown" only the one who was told so.

        An older question for the same image may be answered "unknown" just before this one is registered.
        """
        return match.canonical_id is not None or match.origin == self.fingerprint.origin
