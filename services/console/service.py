"""console: everything, read only

Shows on one page what flows, what was dropped and why, the newest pictures, the shards and the model. Safe to replay
and to kill: it belongs to no group, commits nothing and writes nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from entityflow.admin import Admin
from entityflow.progress import Observer
from entityflow.records import Record
from entityflow.settings import load_settings
from entityflow.stage import Message, Shell, read_topic
from services.console.settings import ConsoleSettings
from services.console.view import View
from services.console.web import serving

PAIRS = "filtered-pair"
WHOLE = ("entity", "outcome", "shard", "model")  # small records: read from their beginning


def make_shell(settings: ConsoleSettings) -> Shell:
    shell = Shell("console", settings)
    view = View(settings.console_pictures)

    def take(key: str, record: Record | None, _message: Message) -> None:
        view.take(key, record)

    for topic in WHOLE:
        shell.table(topic, take)
    shell.table(PAIRS, take, start="end")

    @asynccontextmanager
    async def open_page() -> AsyncIterator[None]:
        await asyncio.to_thread(_newest_pairs, settings, view)
        async with serving(view, settings) as address:
            structlog.get_logger().info("console_ready", address=address)
            yield

    observer: list[Observer] = []

    async def look() -> None:
        if not observer:
            observer.append(await asyncio.to_thread(Observer, settings))
        view.look(await asyncio.to_thread(observer[0].look))

    shell.resource(open_page)
    shell.every(settings.console_refresh_seconds, look)
    return shell


def _newest_pairs(settings: ConsoleSettings, view: View) -> None:
    """The last pairs of each partition: enough for the page, however many the topic holds."""
    admin = Admin(settings)
    count = admin.partitions([PAIRS]).get(PAIRS, 0)
    places = [(PAIRS, partition) for partition in range(count)]
    starts, ends = admin.starts(places), admin.ends(places)
    begin = {place[1]: max(starts[place], ends[place] - settings.console_pictures) for place in places}
    found = sorted(read_topic(settings, PAIRS, begin), key=lambda item: item[0].timestamp_ms)
    for message, record in found:
        view.take((message.key or b"").decode("utf-8", "replace"), record)


def main() -> None:
    sys.exit(make_shell(load_settings(ConsoleSettings)).run())


if __name__ == "__main__":
    main()
