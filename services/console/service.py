"""console: everything, read only

Shows on one page what flows, what was dropped and why, the newest pictures, the shards and the model; on two more,
examples of each reason and clusters of duplicates. Safe to replay and to kill: it belongs to no group, commits nothing
and writes nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from entityflow.admin import Admin
from entityflow.objects import Objects
from entityflow.progress import Observer
from entityflow.records import Record
from entityflow.settings import load_settings
from entityflow.stage import Message, Shell, read_topic
from services.console.gallery import Gallery
from services.console.settings import ConsoleSettings
from services.console.view import View
from services.console.web import serving

NEWEST = ("filtered-pair", "amend")  # large, or of a year: only the last ones
AMENDS_A_CLUSTER = 4
BUDGET_SECONDS = 5.0  # of patience with the bucket: a person is looking
WHOLE = ("entity", "outcome", "shard", "model")  # small records: read from their beginning


def make_shell(settings: ConsoleSettings) -> Shell:
    shell = Shell("console", settings)
    view = View(settings.console_pictures, settings.console_clusters)

    def take(_key: str, record: Record | None, message: Message) -> None:
        view.take(record, message.timestamp_ms)

    for topic in WHOLE:
        shell.table(topic, take)
    for topic in NEWEST:
        shell.table(topic, take, start="end")
    shell.resource(lambda: _page(view, settings))
    shell.every(settings.console_refresh_seconds, Look(view, settings))
    return shell


@asynccontextmanager
async def _page(view: View, settings: ConsoleSettings) -> AsyncIterator[None]:
    gallery = Gallery(lambda: Objects(settings, BUDGET_SECONDS))
    async with serving(view, gallery, settings) as address:
        structlog.get_logger().info("console_ready", address=address)
        yield


class Look:
    """What comes from no table: offsets again and again; once, what was there before we followed."""

    def __init__(self, view: View, settings: ConsoleSettings) -> None:
        self._view, self._settings = view, settings
        self._shown = (settings.console_pictures, settings.console_clusters * AMENDS_A_CLUSTER)
        self._observer: Observer | None = None

    async def __call__(self) -> None:
        if self._observer is None:
            self._observer = await asyncio.to_thread(Observer, self._settings)
            for topic, most in zip(NEWEST, self._shown, strict=True):
                for message, record in await asyncio.to_thread(_last, self._settings, topic, most):
                    self._view.take(record, message.timestamp_ms)
        self._view.look(await asyncio.to_thread(self._observer.look))


def _last(settings: ConsoleSettings, topic: str, most: int) -> list[tuple[Message, Record | None]]:
    """The last records of each partition: enough for the page, however many the topic holds."""
    admin = Admin(settings)
    count = admin.partitions([topic]).get(topic, 0)
    places = [(topic, partition) for partition in range(count)]
    starts, ends = admin.starts(places), admin.ends(places)
    begin = {place[1]: max(starts[place], ends[place] - most) for place in places}
    return list(read_topic(settings, topic, begin))


def main() -> None:
    sys.exit(make_shell(load_settings(ConsoleSettings)).run())


if __name__ == "__main__":
    main()
