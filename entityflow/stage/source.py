"""source: records that do not come from a topic (a harvest, an imported list), produced and acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice

from entityflow.admin import require_topics
from entityflow.kafka import AckedProducer
from entityflow.settings import Settings
from entityflow.stage.messages import Send
from entityflow.stage.producing import Sender

CHUNK = 1000
FLUSH_SECONDS = 30.0


def produce_all(service: str, settings: Settings, sends: Iterable[Send], topics: Iterable[str]) -> int:
    """Produce everything, a chunk at a time, each awaited; returns how many. All `topics` must exist.

    Safe to repeat after any failure: the ids of the records are the same again.
    """
    require_topics(settings, topics)
    failures: list[Exception] = []
    producer = AckedProducer(settings, failures.append)
    try:
        return asyncio.run(_produce(Sender(service, settings, producer), iter(sends), failures))
    finally:
        producer.close(FLUSH_SECONDS)


async def _produce(sender: Sender, sends: Iterator[Send], failures: list[Exception]) -> int:
    count = 0
    while chunk := list(islice(sends, CHUNK)):
        sending = asyncio.ensure_future(sender.send(chunk))
        while not sending.done():
            await asyncio.wait([sending], timeout=0.5)
            if failures:
                sending.cancel()
                raise failures[0]
        await sending
        count += len(chunk)
    return count
