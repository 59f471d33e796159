"""The process of one service: its stages, tables, producer, background work, health, and how it stops."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import structlog

from entityflow.errors import UserError
from entityflow.health import Health, serve_health
from entityflow.logs import configure_logs
from entityflow.settings import Settings
from entityflow.signals import stop_on_signals
from entityflow.stage.batching import BatchIntake, MakeHandler
from entityflow.stage.broker import Broker
from entityflow.stage.intake import Intake
from entityflow.stage.mapping import MapIntake, Step
from entityflow.stage.messages import Message, Send
from entityflow.stage.on_kafka import KafkaBroker
from entityflow.stage.producing import Sender
from entityflow.stage.table import Apply, Table

FLUSH_SECONDS = 10.0
GARBAGE_THRESHOLDS = (20_000, 20, 50)


class Shell:
    """Declare stages and tables, then `run()`. A failure anywhere ends the process, unfinished work uncommitted."""

    def __init__(self, service: str, settings: Settings, broker: Broker | None = None) -> None:
        """broker: none = the Kafka that the settings name."""
        self.service, self.settings = service, settings
        self.broker = broker or KafkaBroker(settings)
        self.tables: list[Table] = []
        self._declared: list[Callable[[], Intake]] = []
        self._reads: list[str] = []
        self._resources: list[Callable[[], AbstractAsyncContextManager[Any]]] = []
        self._periodic: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        self._error: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self.health = Health(self._status)

    # --- declaring ---

    def map(self, topic: str, step: Step, *, concurrency: int, group: str | None = None) -> None:
        """async step(received) -> sends, for up to `concurrency` records of the topic at once."""
        name = group or self.service
        self._reads.append(topic)
        self._declared.append(lambda: MapIntake(self, topic, name, step, concurrency))

    def batch(self, topic: str, make: MakeHandler, *, max_records: int, group: str | None = None) -> None:
        """make(partition, topic uuid) -> the BatchHandler of that partition."""
        name = group or self.service
        self._reads.append(topic)
        self._declared.append(lambda: BatchIntake(self, topic, name, make, max_records))

    def table(self, topic: str, apply: Apply, *, follows: str | None = None, start: str = "beginning") -> Table:
        """Read a topic's partitions to their end before the first record that needs them, and follow them."""
        table = Table(topic, apply, follows, start)
        self.tables.append(table)
        return table

    def resource(self, enter: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        """Entered in the loop before the first record, left after the last."""
        self._resources.append(enter)

    def every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Background work in the loop: at start, then `seconds` after each end."""
        self._periodic.append((seconds, work))

    # --- for steps ---

    def send(self, sends: Iterable[Send]) -> Coroutine[Any, Any, None]:
        """Produce, and when awaited, wait until the broker has everything."""
        return self.sender.send(sends)

    # --- for the parts of the shell ---

    @property
    def stopping(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    @property
    def failed(self) -> bool:
        return self._error is not None

    def beat(self) -> None:
        self.health.beat()

    def ready(self) -> None:
        self.health.ready = True

    def stop(self) -> None:
        """Stop taking; finish or drop within the budget, flush, commit, leave. Callable from any thread."""
        self._loop.call_soon_threadsafe(self._stop_now)

    def fail(self, error: BaseException, message: Message | None = None) -> None:
        """End the process without committing what failed. Callable from any thread; the first error counts."""
        self._loop.call_soon_threadsafe(self._fail_now, error, message)

    def _stop_now(self) -> None:
        if self._stop is not None:
            self._stop.set()

    def _fail_now(self, error: BaseException, message: Message | None) -> None:
        if self._error is None:
            self._error = error
            where = f"{message.topic} partition {message.partition} offset {message.offset}" if message else None
            stack = None if isinstance(error, UserError) else "".join(traceback.format_exception(error))
            self._log.error(
                "service_failed", error=str(error), at_record=where, stack=stack, hint=getattr(error, "hint", None)
            )
        self._stop_now()

    # --- running ---

    def run(self) -> int:
        """Until SIGTERM or SIGINT (0) or an error (1, or 2 where a setting is wrong)."""
        configure_logs(self.settings.log_level, self.settings.log_format, self.service)
        self._log = structlog.get_logger()
        try:
            asyncio.run(self._main())
        except UserError as exc:
            self._error = self._error or exc
            self._log.error("start_failed", error=str(exc), hint=exc.hint)
        if self._error is None:
            return 0
        return self._error.exit_code if isinstance(self._error, UserError) else 1

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        with stop_on_signals(self._stop.set):
            await self._until_stop()

    async def _until_stop(self) -> None:
        self._loop = asyncio.get_running_loop()
        uuids = await asyncio.to_thread(self._topics)
        server = serve_health(self.health, self.settings.metrics_bind, self.settings.metrics_port)
        producer = self.broker.producer(self.fail)
        self.sender = Sender(self.service, self.settings, producer)
        self._log.info("service_started", health=f"http://{self.settings.metrics_bind}:{server.server_port}")
        try:
            async with AsyncExitStack() as stack:
                for enter in self._resources:
                    await stack.enter_async_context(enter())
                _collect_garbage_less_often()
                await self._serve(uuids)
        finally:
            left = await asyncio.to_thread(producer.close, FLUSH_SECONDS)
            server.shutdown()
            server.server_close()
            self._log.info("service_stopped", unacknowledged=left, failed=self.failed)

    def _topics(self) -> dict[str, str]:
        """The uuids of all topics that are read; raises UserError where one is missing or was made anew."""
        uuids = self.broker.uuids(dict.fromkeys([*self._reads, *(table.topic for table in self.tables)]))
        self.broker.recognise(self.service, uuids)
        return uuids

    async def _serve(self, uuids: dict[str, str]) -> None:
        background: list[asyncio.Task[None]] = []
        try:
            for table in self.tables:
                await table.open(self.settings, self.fail)
            background = [asyncio.create_task(self._repeat(*item)) for item in self._periodic]
            intakes = [make() for make in self._declared]
            if not intakes:
                self.ready()
                await self._wait_for_stop()
            await asyncio.gather(*(self._guarded(intake.run(uuids[intake.topic])) for intake in intakes))
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            for table in self.tables:
                await table.close()

    async def _wait_for_stop(self) -> None:
        assert self._stop is not None
        while not self._stop.is_set():
            self.beat()
            try:
                await asyncio.wait_for(self._stop.wait(), 1.0)
            except TimeoutError:
                continue

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as exc:
            self._fail_now(exc, None)

    async def _repeat(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        try:
            while True:
                await work()
                await asyncio.sleep(seconds)
        except Exception as exc:
            self.fail(exc)

    def _status(self) -> dict[str, Any]:
        return {"service": self.service, "reads": self._reads, "stopping": self.stopping, "ready": self.health.ready}


def _collect_garbage_less_often() -> None:
    """What was loaded stays for good, and records in flight are not garbage: by default the interpreter looks at both
    after every 700 objects, which costs a third of the time of a small record (bench/delivery.py)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
