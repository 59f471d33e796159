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

    def take(_key: str, record: Record | None, message: Message) -> None:
        view.take(record, message.timestamp_ms)

    for topic in WHOLE:
        shell.table(topic, take)
    shell.table(PAIRS, take, start="end")
    shell.resource(lambda: _page(view, settings))
    shell.every(settings.console_refresh_seconds, Look(view, settings))
    return shell


@asynccontextmanager
async def _page(view: View, settings: ConsoleSettings) -> AsyncIterator[None]:
    async with serving(view, settings) as address:
        structlog.get_logger().info("console_ready", address=address)
        yield


class Look:
    """What comes from no table: offsets again and again; once, the pairs that were there before we followed."""

    def __init__(self, view: View, settings: ConsoleSettings) -> None:
        self._view, self._settings = view, settings
        self._observer: Observer | None = None

    async def __call__(self) -> None:
        if self._observer is None:
            self._observer = await asyncio.to_thread(Observer, self._settings)
            for message, record in await asyncio.to_thread(_last_pairs, self._settings):
                self._view.take(record, message.timestamp_ms)
        self._view.look(await asyncio.to_thread(self._observer.look))


def _last_pairs(settings: ConsoleSettings) -> list[tuple[Message, Record | None]]:
    """The last pairs of each partition: enough for the page, however many the topic holds."""
    admin = Admin(settings)
    count = admin.partitions([PAIRS]).get(PAIRS, 0)
    places = [(PAIRS, partition) for partition in range(count)]
    starts, ends = admin.starts(places), admin.ends(places)
    begin = {place[1]: max(starts[place], ends[place] - settings.console_pictures) for place in places}
    return list(read_topic(settings, PAIRS, begin))


def main() -> None:
    sys.exit(make_shell(load_settings(ConsoleSettings)).run())


if __name__ == "__main__":
    main()
