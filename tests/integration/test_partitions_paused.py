"""A partition that went to another member while it was paused is read again when it comes back."""

import asyncio
from collections.abc import Mapping

from entityflow.records import Entity
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all
from entityflow.stage.broker import Reading
from entityflow.stage.partitions import Partitions
from entityflow.stage.suspects import Suspects
from entityflow.topics import load_topics

ALL = set(range(load_topics()["entity"].count(small=True)))
SLICE_SECONDS = 0.1


def member(settings: Settings) -> Partitions:
    async def start(_partition: int) -> int | None:
        return None

    async def assigned(_partitions: list[int]) -> None:
        return None

    async def revoked(_partitions: list[int], _lost: bool) -> Mapping[int, int]:
        return {}

    def fatal(error: Exception) -> None:
        raise error

    return Partitions(
        settings,
        Reading("query_builder", "entity", "query_builder", "", start, assigned, revoked, fatal, Suspects("", 10)),
    )


def publish(settings: Settings, first: int) -> None:
    """One record in each partition."""
    records = [Entity(id=f"Q{first + partition}", label="owl", lang="en") for partition in ALL]
    sends = [Send("entity", one, partition=partition) for partition, one in zip(ALL, records, strict=True)]
    produce_all("test", settings, sends, ["entity"])


async def test_a_partition_that_comes_back_is_not_paused_any_more(settings: Settings) -> None:
    quick = settings.model_copy(update={"session_timeout_seconds": 6.0, "small_topics": True})
    first = member(quick)
    await first.join()
    while first.assigned != ALL:
        await first.take(10, SLICE_SECONDS)
    await first.pause()
    second = member(quick)
    await second.join()
    while first.assigned == ALL or not second.assigned:
        await first.take(10, SLICE_SECONDS)
        await second.take(10, SLICE_SECONDS)

    await second.leave()
    while first.assigned != ALL:
        await first.take(10, SLICE_SECONDS)
    await first.resume()
    await asyncio.to_thread(publish, quick, 1)

    seen: set[int] = set()
    tries = 0
    while seen != ALL and tries < 100:
        seen |= {message.partition for message in await first.take(10, SLICE_SECONDS)}
        tries += 1
    await first.leave()
    assert seen == ALL
