"""How fast records go through the shell, beside a bare confluent-kafka loop on the same broker in the same run.

    python bench/delivery.py [--records 20000] [--rounds 3]

Prints records/s and MB/s (minimum and median of the rounds) for 1 kB and 60 kB records through map and batch, the
processor time of a record, and the ratios to the bare loop, which decodes, encodes, produces and commits in the same
batches but keeps no promise. Then what commits cost (each second, as by default, beside hardly ever), and how long a
new process takes from its start to the acknowledged result of its first record.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from entityflow.admin import create_topics
from entityflow.codec import decode, encode
from entityflow.embedded.supervisor import Stack
from entityflow.kafka import client_properties, consumer_properties, producer_properties
from entityflow.records import Entity, Fingerprint, Hashes, Image, Match, Origin, Permission, Query, Record, Url
from entityflow.settings import Settings, load_settings
from entityflow.stage import Batch, Received, Send, Shell, produce_all, read_topic

ROOT = Path(__file__).parent.parent
ORIGIN = Origin(topic_uuid="bench", partition=0, offset=0)
ADDRESS = Url(candidate_id="c", url_id="u", address="http://pictures.example/", provider="bench")


def image(number: int) -> Send:
    record = Image(
        image_id=f"{number:064d}",
        payload=b"\xff" * 60_000,
        permission=Permission(decision="allowed"),
        candidate=ADDRESS,
        url_origin=ORIGIN,
    )
    return Send("image", record)


def entity(number: int) -> Send:
    return Send("entity", Entity(id=f"Q{number}", label="x" * 1000, lang="en"))


def fingerprint(number: int) -> Send:
    hashes = Hashes(phash="0" * 16, dhash="1" * 16, version=1)
    return Send(
        "fingerprint", Fingerprint(image_id=f"{number:064d}", origin=ORIGIN, passed=True, hashes=hashes), partition=0
    )


def answer(record: Record) -> Send:
    """One small or equally large result a record, as the services give."""
    match record:
        case Entity():
            query = Query(id=record.id, entity_id=record.id, text=record.label, lang="en", kind="noun", budget=1)
            return Send("query", query)
        case Image():
            return Send("fingerprint", Fingerprint(image_id=record.image_id, origin=ORIGIN, passed=True), partition=0)
        case Fingerprint():
            return Send("match", Match(image_id=record.image_id, seq=0))
    raise TypeError(type(record).__name__)


class Until:
    """Stops this process's shell when `count` records were worked on; `seconds` from the first to the last of them."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._began = 0.0
        self.seconds = 0.0

    def done(self, count: int = 1) -> None:
        self._began = self._began or time.perf_counter()
        self._left -= count
        if self._left <= 0:
            self.seconds = time.perf_counter() - self._began
            threading.Timer(0, os.kill, (os.getpid(), signal.SIGTERM)).start()


def through_map(settings: Settings, topic: str, service: str, count: int) -> float:
    until = Until(count)

    async def step(received: Received[Record]) -> list[Send]:
        until.done()
        return [answer(received.record)]

    shell = Shell(service, settings)
    shell.map(topic, step, concurrency=500)
    shell.run()
    return until.seconds


def through_batch(settings: Settings, topic: str, service: str, count: int) -> float:
    until = Until(count)

    class Handler:
        def start(self) -> int | None:
            return None

        def step(self, batch: list[Received[Record]]) -> Batch:
            until.done(len(batch))
            return Batch([answer(one.record) for one in batch])

        def tick(self) -> Batch | None:
            return None

        def close(self) -> None:
            return

    shell = Shell(service, settings)
    shell.batch(topic, lambda partition, topic_uuid: Handler(), max_records=500)
    shell.run()
    return until.seconds


def bare(settings: Settings, topic: str, service: str, count: int) -> float:
    """What a careful hand-written loop does: consume, work, produce, flush, commit."""
    consumer = Consumer({**client_properties(settings), **consumer_properties(settings, f"{service}")})
    producer = Producer({**client_properties(settings), **producer_properties(settings)})
    consumer.subscribe([settings.topic_name(topic)])
    left, began = count, 0.0
    while left > 0:
        messages = consumer.consume(500, 0.1)
        began = began or (time.perf_counter() if messages else 0.0)
        for message in messages:
            send = answer(decode(message.value() or b""))
            key = None if send.partition is not None else (send.key or "k").encode()
            place = {} if send.partition is None else {"partition": send.partition}
            producer.produce(settings.topic_name(send.topic), encode(send.record), key, **place)  # type: ignore[arg-type]
        producer.flush()
        ends = {(m.topic(), m.partition()): m.offset() + 1 for m in messages}  # type: ignore[operator]
        if ends:
            consumer.commit(offsets=[TopicPartition(t, p, o) for (t, p), o in ends.items()], asynchronous=False)  # type: ignore[call-overload, arg-type]
        left -= len(messages)
    seconds = time.perf_counter() - began
    consumer.close()
    return seconds


CASES = [
    ("1 kB map", entity, "entity", "query_builder", through_map, 1.0),
    ("60 kB map", image, "image", "filter", through_map, 60.0),
    ("0.2 kB batch", fingerprint, "fingerprint", "index", through_batch, 0.2),
]


def timed(settings: Settings, make: Callable[[int], Send], topic: str, run: Callable[[], float], count: int) -> float:
    create_topics(settings)
    produce_all("bench", settings, (make(number) for number in range(count)), [topic])
    return run()


def cost_of_commits(stack: Settings, records: int, rounds: int) -> str:
    """Rates of the same work committing each second and each hour, in turn."""
    rates: dict[float, list[float]] = {1.0: [], 3600.0: []}
    for _ in range(rounds):
        for seconds, found in rates.items():
            settings = fresh(stack).model_copy(update={"commit_seconds": seconds})
            run = partial(through_map, settings, "entity", "query_builder", records)
            found.append(records / timed(settings, entity, "entity", run, records))
    each, hardly = (statistics.median(found) for found in rates.values())
    return f"      commits each second {each:,.0f}/s, each hour {hardly:,.0f}/s: ratio {each / hardly:.2f}"


FIRST_RECORD = """
from bench.delivery import answer
from entityflow.settings import load_settings
from entityflow.stage import Shell
shell = Shell("query_builder", load_settings())
async def step(received):
    return [answer(received.record)]
shell.map("entity", step, concurrency=500)
shell.run()
"""


def restart(stack: Settings, rounds: int) -> str:
    """Seconds from starting a process to its first result on the broker; Python and imports included."""
    seconds = []
    for _ in range(rounds):
        settings: Settings = fresh(stack)
        create_topics(settings)
        produce_all("bench", settings, [entity(1)], ["entity"])
        began = time.perf_counter()
        environment = {**os.environ, "ENTITYFLOW_PREFIX": settings.prefix}
        process = subprocess.Popen([sys.executable, "-c", FIRST_RECORD], cwd=ROOT, env=environment)
        try:
            while not any(True for _ in read_topic(settings, "query")):
                if process.poll() is not None:
                    raise RuntimeError(f"the service ended with {process.returncode}")
            seconds.append(time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait(30)
    least, median = min(seconds), statistics.median(seconds)
    return f"      start of a process to its first result: min {least:.2f} s, median {median:.2f} s"


def fresh(stack: Settings) -> Settings:
    return stack.model_copy(update={"prefix": f"bench{uuid.uuid4().hex[:8]}"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        environment = stack.up(only=("kafka",))
        try:
            os.environ.update(environment)
            settings: Settings = load_settings(log_level="error")
            lines = [line for case in CASES for line in measured(settings, *case, args.records, args.rounds)]
            lines.append(cost_of_commits(settings, args.records, args.rounds))
            lines.append(restart(settings, args.rounds))
        finally:
            stack.down()
    print("\n".join(lines))
    return 0


def measured(
    stack: Settings,
    name: str,
    make: Callable[[int], Send],
    topic: str,
    service: str,
    ours: Callable[[Settings, str, str, int], float],
    kilobytes: float,
    records: int,
    rounds: int,
) -> list[str]:
    count = records // 10 if kilobytes > 10 else records
    wall: dict[str, list[float]] = {"shell": [], "bare": []}
    cpu: dict[str, list[float]] = {"shell": [], "bare": []}
    for _ in range(rounds):
        for who, run in (("shell", ours), ("bare", bare)):
            settings = fresh(stack)
            timed_run = partial(with_cpu, partial(run, settings, topic, service, count), cpu[who])
            wall[who].append(timed(settings, make, topic, timed_run, count))
    rates = {who: [count / one for one in times] for who, times in wall.items()}
    lines = []
    for who, all_ in rates.items():
        median, micros = statistics.median(all_), statistics.median(cpu[who]) / count * 1e6
        lines.append(
            f"{name:>13} {who:<5} min {min(all_):9,.0f}/s  median {median:9,.0f}/s"
            f"  {median * kilobytes / 1000:7.1f} MB/s  {micros:6.1f} us CPU"
        )
    ratio = statistics.median(rates["shell"]) / statistics.median(rates["bare"])
    of_cpu = statistics.median(cpu["bare"]) / statistics.median(cpu["shell"])
    return [*lines, f"{name:>13} ratio shell/bare {ratio:.2f}, by CPU {of_cpu:.2f} ({count} records, first to last)"]


def with_cpu(run: Callable[[], float], seconds: list[float]) -> float:
    """Notes the processor time of this process, starting and stopping included."""
    began = time.process_time()
    wall = run()
    seconds.append(time.process_time() - began)
    return wall


if __name__ == "__main__":
    sys.exit(main())
