"""trainer: shard -> model

Trains CLIP on shards as they complete, with replay of earlier ones, and publishes a model when it has learned from what
there is. Safe to replay: its position in `shard` lies in its checkpoint beside the weights, so both go back together;
the ledger knows every shard by id and version, and what a group of steps draws is stored before its first step.
`torchrun` starts it on several processes: the first one is the service, the others follow it.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from entityflow.domain import load_domain
from entityflow.logs import configure_logs
from entityflow.records import Model
from entityflow.settings import load_settings
from entityflow.stage import Send, Shell
from services.trainer.bucket import Bucket
from services.trainer.building import build_trainer
from services.trainer.publisher import Tell
from services.trainer.ranks import Ranks, ranks_from_environment
from services.trainer.recipe import make_recipe
from services.trainer.settings import TrainerSettings
from services.trainer.shard_cache import ShardCache
from services.trainer.shard_files import ManifestFiles
from services.trainer.shard_room import ShardRoom
from services.trainer.shard_topic import ShardTopic
from services.trainer.stopping import stop_on_signals


def train(settings: TrainerSettings, ranks: Ranks, tell: Tell, stop: threading.Event) -> None:
    """Until `stop`, or until nothing is left to do where the settings say so."""
    recipe = make_recipe(settings, load_domain(settings.domain) if settings.domain else None)
    store, folder = Bucket(settings), local_folder(settings)
    cache = ShardCache(store, folder / "shards", settings.trainer_cache_bytes)
    try:
        build_trainer(
            settings,
            recipe,
            store,
            ShardTopic(settings, ManifestFiles(store)),
            ShardRoom(cache),
            tell,
            stop,
            ranks,
            folder,
        ).run()
    finally:
        ranks.leave()


def local_folder(settings: TrainerSettings) -> Path:
    """Of the cache and the metrics file; nothing in it is needed again."""
    return settings.state_dir / "trainer" / settings.prefix


class Service:
    """The leader: the shell around a run in a thread."""

    def __init__(self, settings: TrainerSettings, ranks: Ranks) -> None:
        self._settings, self._ranks = settings, ranks
        self._stop = threading.Event()
        self._shell = Shell("trainer", settings)
        self._shell.resource(self._training)

    def run(self) -> int:
        return self._shell.run()

    @asynccontextmanager
    async def _training(self) -> AsyncIterator[None]:
        """On leaving the run is told to stop, and waited for: it writes a checkpoint first."""
        self._loop = asyncio.get_running_loop()
        run = asyncio.create_task(asyncio.to_thread(train, self._settings, self._ranks, self._tell, self._stop))
        run.add_done_callback(self._ended)
        try:
            yield
        finally:
            self._stop.set()
            await asyncio.wait([run])

    def _ended(self, run: asyncio.Task[None]) -> None:
        if error := run.exception():
            self._shell.fail(error)
        else:
            self._shell.stop()

    def _tell(self, model: Model) -> None:
        """From the run's thread: returns when the broker has the event."""
        asyncio.run_coroutine_threadsafe(self._shell.send([Send("model", model)]), self._loop).result()


def follow(settings: TrainerSettings, ranks: Ranks) -> int:
    """A process that does what the leader says: it stops when the leader does, not by signals of its own."""
    configure_logs(settings.log_level, settings.log_format, "trainer")
    with stop_on_signals(ranks) as stop:
        train(settings, ranks, lambda _model: None, stop)
    return 0


def main() -> None:
    settings, ranks = load_settings(TrainerSettings), ranks_from_environment()
    sys.exit(Service(settings, ranks).run() if ranks.leads else follow(settings, ranks))


if __name__ == "__main__":
    main()
