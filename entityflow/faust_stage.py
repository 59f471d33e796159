"""The shell for the two services that run on Faust: the same three outcomes, headers, dead letters and health.

Records are followed by our own `OffsetTracker` from taking to the acknowledgement of all they led to; only finished
prefixes are committed. Results go out through Faust's producer and are awaited twice: `send` only buffers, what it
returns is the broker's answer.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, cast

import faust
import structlog
from faust.types import TP

from entityflow.admin import require_topics
from entityflow.errors import LossDetected, Rejected, Retryable, UserError
from entityflow.faust_app import make_app, raw_topic
from entityflow.faust_offsets import check_offsets
from entityflow.health import Health, serve_health
from entityflow.kafka import Headers
from entityflow.logs import configure_logs
from entityflow.metrics import (
    CONSUMED,
    DEAD_LETTERS,
    GUARDED,
    IN_FLIGHT_RECORDS,
    PRODUCED,
    RETRIES,
    STEP_SECONDS,
)
from entityflow.settings import Settings
from entityflow.signals import stop_on_signals
from entityflow.stage.deadletter import RejectionLimit, Tries, dead_letter_headers
from entityflow.stage.guard import RetentionGuard
from entityflow.stage.intake import BACKOFF_SECONDS, decoded
from entityflow.stage.lookout import Lookout
from entityflow.stage.mapping import Step
from entityflow.stage.messages import Message, Received
from entityflow.stage.producing import CURRENT, Sender
from entityflow.stage.raw import odd_headers
from entityflow.stage.seen import ACCEPT, recognise
from entityflow.stage.table import Apply, Table
from entityflow.stage.tracker import OffsetTracker
from entityflow.topics import load_topics

BEAT_SECONDS = 1.0


class FaustSender(Sender):
    """Sends through Faust's producer and waits for the broker's answer to every message."""

    def __init__(self, service: str, settings: Settings, app: faust.App) -> None:
        super().__init__(service, settings, cast(Any, app.producer))  # only `produce` below sends through it
        self._app = app

    async def produce(self, messages: list[tuple[str, bytes | None, bytes | None, Headers, int | None]]) -> None:
        buffered = [
            await self._app.producer.send(self._settings.topic_name(topic), key, value, partition, None, list(headers))
            for topic, key, value, headers, partition in messages
        ]
        await asyncio.gather(*buffered)
        for topic, *_ in messages:
            PRODUCED.labels(self.service, topic).inc()


class FaustStage:
    """Declare steps and resources, then `run()`: as `Shell`, on Faust."""

    def __init__(self, service: str, settings: Settings) -> None:
        self.service, self.settings = service, settings
        self.health = Health(self._status)
        self._steps: dict[str, tuple[Step, int]] = {}
        self._tables: list[Table] = []
        self._resources: list[Callable[[], AbstractAsyncContextManager[Any]]] = []
        self._trackers: dict[TP, OffsetTracker] = {}
        self._tasks: dict[TP, set[asyncio.Task[None]]] = {}
        self._limit = RejectionLimit()
        self._error: BaseException | None = None
        self._guarded: str | None = None

    def map(self, topic: str, step: Step, *, concurrency: int) -> None:
        """async step(received) -> sends, for up to `concurrency` records of the topic at once."""
        self._steps[topic] = (step, concurrency)

    def table(self, topic: str, apply: Apply) -> None:
        """Read a whole compacted topic before the first record, and follow it."""
        self._tables.append(Table(topic, apply, None, "beginning"))

    def resource(self, enter: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        """Entered in the loop before the first record, left after the last."""
        self._resources.append(enter)

    def share(self, topic: str) -> float:
        """What part of all partitions of a topic this process has now, 0 to 1."""
        name = self.settings.topic_name(topic)
        own = sum(place.topic == name for place in self._assignment())
        return own / load_topics()[topic].count(self.settings.small_topics)

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
        self._input_wanted = asyncio.Event()
        self._uuids = await asyncio.to_thread(self._topics)
        await asyncio.to_thread(check_offsets, self.service, self.settings, self._uuids)
        server = serve_health(self.health, self.settings.metrics_bind, self.settings.metrics_port)
        self._log.info("service_started", health=f"http://{self.settings.metrics_bind}:{server.server_port}")
        try:
            async with AsyncExitStack() as stack:
                for enter in self._resources:
                    await stack.enter_async_context(enter())
                for table in self._tables:
                    stack.push_async_callback(table.close)
                    await table.open(self.settings, self._fail_soon)
                await self._serve()
        finally:
            server.shutdown()
            server.server_close()
            self._log.info("service_stopped", failed=self._error is not None)

    def _topics(self) -> dict[str, str]:
        """The uuid of each topic that is mapped; raises UserError where one that is read is missing or made anew."""
        tables = [table.topic for table in self._tables]
        uuids = require_topics(self.settings, dict.fromkeys([*self._steps, *tables]))
        recognise(self.service, self.settings, uuids)
        return {topic: uuids[topic] for topic in self._steps}

    async def _serve(self) -> None:
        app = make_app(self.service, self.settings, self._committable, self._uuids)
        self._assignment = app.consumer.assignment
        self._sender = FaustSender(self.service, self.settings, app)
        for topic, (step, concurrency) in self._steps.items():
            self._declare(app, topic, step, concurrency)
        app.on_partitions_revoked.connect(self._revoked, weak=False)
        app.on_partitions_assigned.connect(self._assigned, weak=False)
        await app.start()
        try:
            await self._until_stopped(app)
        finally:
            await self._drain()
            await app.stop()

    async def _until_stopped(self, app: faust.App) -> None:
        guard = RetentionGuard(self.service, self.settings)
        lookout = Lookout(guard, self._same_topics, self.settings.guard_seconds, self._told)
        while not self._stop.is_set():
            if app.crashed:
                self._fail(app.crash_reason or RuntimeError("Faust crashed"), None)
                break
            try:
                await lookout.look()
            except UserError as exc:
                self._fail(exc, None)
                break
            (self._input_wanted.clear if lookout.wait else self._input_wanted.set)()
            self.health.beat()
            try:
                await asyncio.wait_for(self._stop.wait(), BEAT_SECONDS)
            except TimeoutError:
                continue

    def _same_topics(self) -> None:
        now = require_topics(self.settings, self._uuids)
        for topic, uuid in self._uuids.items():
            if now[topic] != uuid:
                raise LossDetected(
                    f"{self.settings.topic_name(topic)} was made anew under group"
                    f" {self.settings.group_name(self.service)}: uuid {uuid} before, {now[topic]} now",
                    hint=ACCEPT,
                )

    def _told(self, waits_for: str | None) -> None:
        self._guarded = waits_for
        self._log.warning("guard", waits_for=waits_for)
        for topic in self._steps:
            GUARDED.labels(self.service, topic).set(waits_for is not None)

    # --- one stream ---

    def _declare(self, app: faust.App, topic: str, step: Step, concurrency: int) -> None:
        room = asyncio.Semaphore(concurrency)

        async def take(stream: Any) -> None:
            events: AsyncIterator[Any] = stream.noack().events()
            async for event in events:
                await self._may_go_on()
                await room.acquire()
                self._accept(topic, event, step, room)

        app.agent(raw_topic(app, self.settings.topic_name(topic)), name=f"{self.service}.{topic}", concurrency=1)(take)

    async def _may_go_on(self) -> None:
        await self._input_wanted.wait()
        if self._stop.is_set():
            await asyncio.Event().wait()  # take nothing more: the app is about to stop

    def _accept(self, topic: str, event: Any, step: Step, room: asyncio.Semaphore) -> None:
        message, place = self._message(topic, event.message), event.message.tp
        CONSUMED.labels(self.service, topic).inc()
        tracker = self._trackers.setdefault(place, OffsetTracker())
        tracker.take(message.offset)
        task = asyncio.create_task(self._process(message, step, tracker))
        tasks = self._tasks.setdefault(place, set())
        tasks.add(task)
        IN_FLIGHT_RECORDS.labels(self.service, topic).inc()

        def ended(_task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            room.release()
            event.ack()  # Faust forgets the event; what is committed is the tracker's to say
            IN_FLIGHT_RECORDS.labels(self.service, topic).dec()

        task.add_done_callback(ended)

    def _message(self, topic: str, raw: Any) -> Message:
        pairs = raw.headers.items() if isinstance(raw.headers, dict) else raw.headers or ()
        headers = {name: bytes(value or b"") for name, value in pairs}
        return Message(
            topic=topic,
            partition=raw.partition,
            offset=raw.offset,
            key=raw.key,
            value=raw.value,
            headers=headers,
            timestamp_ms=int((raw.timestamp or 0) * 1000),
            topic_uuid=self._uuids[topic],
            all_headers=odd_headers(list(pairs), headers),
        )

    async def _process(self, message: Message, step: Step, tracker: OffsetTracker) -> None:
        CURRENT.set(message)
        began = time.monotonic()
        try:
            await self._until_finished(message, step)
            tracker.finish(message.offset)
            STEP_SECONDS.labels(self.service, message.topic).observe(time.monotonic() - began)
        except Exception as exc:  # noqa: BLE001 - this is the shell: the process ends, uncommitted
            self._fail(exc, message)

    async def _until_finished(self, message: Message, step: Step) -> None:
        tries = Tries()
        while True:
            try:
                record = decoded(message)
                if record is not None:
                    await self._sender.send(await step(Received(record, message)))
                return self._limit.finished(message.topic, message.partition)
            except Rejected as error:
                return await self._dead_letter(message, error, tries)
            except Retryable as error:
                await self._back_off(message, error, tries.count - 1)
                tries.count += 1

    async def _dead_letter(self, message: Message, error: Rejected, tries: Tries) -> None:
        self._limit.rejected(message, error)
        group = self.settings.group_name(self.service)
        headers = dead_letter_headers(message, group, self._sender.name, message.topic, error, tries)
        await self._sender.produce([(load_topics()[message.topic].dlq, message.key, message.value, headers, None)])
        DEAD_LETTERS.labels(self.service, message.topic, error.reason).inc()
        self._log.error(
            "dead_letter",
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            reason=error.reason,
            error=str(error),
        )

    async def _back_off(self, message: Message, error: Retryable, tries: int) -> None:
        first, most = BACKOFF_SECONDS
        seconds = min(most, first * 2 ** min(tries, 10)) * random.uniform(0.5, 1.0)
        RETRIES.labels(self.service, message.topic, error.reason).inc()
        self._log.warning(
            "retry", topic=message.topic, reason=error.reason, error=str(error), seconds=round(seconds, 2)
        )
        await asyncio.sleep(seconds)

    def _fail_soon(self, error: BaseException) -> None:
        """As `_fail`, from any thread."""
        self._loop.call_soon_threadsafe(self._fail, error, None)

    def _fail(self, error: BaseException, message: Message | None) -> None:
        if self._error is None:
            self._error = error
            where = f"{message.topic} partition {message.partition} offset {message.offset}" if message else None
            stack = None if isinstance(error, UserError) else "".join(traceback.format_exception(error))
            hint = getattr(error, "hint", None)
            self._log.error("service_failed", error=str(error), at_record=where, stack=stack, hint=hint)
        self._stop.set()

    # --- partitions ---

    def _committable(self, place: TP) -> int | None:
        tracker = self._trackers.get(place)
        return tracker.committable() if tracker else None

    async def _revoked(self, _app: Any, /, *signalled: Any, **_: Any) -> None:
        """What is in flight is dropped: the next owner, maybe we ourselves, begins at the committed offset."""
        places: set[TP] = signalled[0]
        tasks = [task for place in places for task in self._tasks.pop(place, ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for place in places:
            self._trackers.pop(place, None)

    async def _assigned(self, _app: Any, /, *signalled: Any, **_: Any) -> None:
        self.health.ready = True
        self._log.info("partitions_assigned", partitions=len(signalled[0]))

    async def _drain(self) -> None:
        """Let what is in flight end within the budget, unless something failed; drop the rest."""
        tasks = {task for found in self._tasks.values() for task in found}
        if tasks and self._error is None:
            await asyncio.wait(tasks, timeout=self.settings.drain_seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _status(self) -> dict[str, Any]:
        reads = list(self._steps)
        return {"service": self.service, "reads": reads, "guarded": self._guarded, "ready": self.health.ready}
