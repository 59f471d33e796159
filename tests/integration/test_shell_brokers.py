"""What the shell promises, on Kafka and on the broker in memory alike."""

import asyncio

import pytest

from entityflow.codec import decode, encode
from entityflow.errors import Rejected, Retryable
from entityflow.records import Entity, Fingerprint, Match, Origin, Query
from entityflow.settings import load_settings
from entityflow.stage import Batch, Received, Send, Shell
from tests.shell_lines import InMemory, Line, OnKafka, run_until

pytestmark = pytest.mark.filterwarnings("error")
QUICK = {"commit_seconds": 0.05, "drain_seconds": 1.0, "log_level": "critical"}


@pytest.fixture(params=["kafka", "memory"])
def line(request: pytest.FixtureRequest) -> Line:
    if request.param == "memory":
        return InMemory(load_settings(**QUICK))
    return OnKafka(request.getfixturevalue("settings").model_copy(update=QUICK))


def put_entities(line: Line, *labels: str) -> None:
    for number, label in enumerate(labels):
        entity = Entity(id=f"Q{number}", label=label, lang="en")
        line.put("entity", entity.id.encode(), encode(entity), number % 2, {"msg-id": entity.id.encode()})


def put_fingerprints(line: Line, count: int) -> None:
    for number in range(count):
        origin = Origin(topic_uuid="u", partition=0, offset=number)
        record = Fingerprint(image_id=f"{number:064d}", origin=origin, passed=True)
        line.put("fingerprint", b"", encode(record), 0, {})


def query_of(entity: Entity) -> Send:
    return Send("query", Query(id=entity.id, entity_id=entity.id, text="t", lang="en", kind="noun", budget=1))


def queried(line: Line) -> list[str]:
    return [message.key.decode() for message in line.all("query") if message.key]


def all_committed(line: Line, count: int) -> bool:
    return sum(line.committed("query_builder", "entity").values()) == count


def mapping(line: Line, step, concurrency: int = 50) -> Shell:
    shell = Shell("query_builder", line.settings, line.broker)
    shell.map("entity", step, concurrency=concurrency)
    return shell


def test_what_a_record_leads_to_is_acknowledged_before_it_is_committed(line):
    put_entities(line, *["lion"] * 20)
    acknowledged: list[int] = []

    async def step(received: Received[Entity]) -> list[Send]:
        await shell.send([query_of(received.record)])
        acknowledged.append(len(queried(line)))
        return []

    shell = mapping(line, step)
    code = run_until(shell, lambda: all_committed(line, 20))

    assert code == 0
    assert sorted(queried(line)) == sorted(f"Q{number}" for number in range(20))
    assert all(count > place for place, count in enumerate(acknowledged))


def test_the_next_process_begins_after_what_was_committed(line):
    put_entities(line, *["lion"] * 10)
    seen: list[str] = []

    async def step(received: Received[Entity]) -> list[Send]:
        seen.append(received.record.id)
        return [query_of(received.record)]

    run_until(mapping(line, step), lambda: all_committed(line, 10))
    line.put("entity", b"Q77", encode(Entity(id="Q77", label="late", lang="en")), 1, {})
    run_until(mapping(line, step), lambda: all_committed(line, 11))

    assert len(seen) == 11
    assert seen[-1] == "Q77"


def test_a_step_that_does_not_end_holds_the_commit_of_its_partition_and_of_no_other(line):
    put_entities(line, "waits", *["lion"] * 9)  # the even ones share its partition
    done: list[str] = []

    async def step(received: Received[Entity]) -> list[Send]:
        if received.record.label == "waits":
            await asyncio.Event().wait()
        done.append(received.record.id)
        return []

    run_until(mapping(line, step), lambda: len(done) == 9 and line.committed("query_builder", "entity") == {1: 5})

    assert line.committed("query_builder", "entity") == {1: 5}


def test_a_rejected_record_is_a_dead_letter_with_its_own_bytes_and_is_committed(line):
    line.put("entity", b"Q1", b"\xc3\x01broken", 1, {"mine": b"kept"})
    put_entities(line, "lion", "wrong", "lion", "lion", "lion")

    async def step(received: Received[Entity]) -> list[Send]:
        if received.record.label == "wrong":
            raise Rejected("not-good", "it is wrong")
        return [query_of(received.record)]

    code = run_until(mapping(line, step), lambda: all_committed(line, 6))

    letters = {letter.headers["dlq-reason"]: letter for letter in line.all("entity-dlq")}
    assert code == 0
    assert letters[b"undecodable"].value == b"\xc3\x01broken"
    assert letters[b"undecodable"].headers["mine"] == b"kept"
    assert decode(letters[b"not-good"].value or b"") == Entity(id="Q1", label="wrong", lang="en")
    assert len(queried(line)) == 4


def test_an_outage_is_waited_for_and_leads_to_no_dead_letter(line):
    put_entities(line, "lion", "lion")
    tries: list[str] = []

    async def step(received: Received[Entity]) -> list[Send]:
        tries.append(received.record.id)
        if tries.count(received.record.id) < 2:
            raise Retryable("provider-away")
        return [query_of(received.record)]

    run_until(mapping(line, step), lambda: all_committed(line, 2))

    assert sorted(tries) == ["Q0", "Q0", "Q1", "Q1"]
    assert line.all("entity-dlq") == []


def test_a_bug_ends_the_process_with_the_record_uncommitted(line):
    put_entities(line, "bug")

    async def step(received: Received[Entity]) -> list[Send]:
        raise ValueError(received.record.label)

    code = run_until(mapping(line, step), lambda: False)

    assert code == 1
    assert line.committed("query_builder", "entity") == {}


def test_no_more_records_are_in_hand_than_the_stage_may_hold(line):
    put_entities(line, *["lion"] * 60)
    now = most = 0

    async def step(received: Received[Entity]) -> list[Send]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return []

    run_until(mapping(line, step, concurrency=7), lambda: all_committed(line, 60))

    assert most <= 7


def test_no_more_bytes_are_in_hand_than_allowed_but_for_the_last_take(line):
    line.settings = line.settings.model_copy(update={"in_flight_bytes": 1 << 20})
    put_entities(line, *["x" * 100_000] * 40)
    now = most = 0

    async def step(received: Received[Entity]) -> list[Send]:
        nonlocal now, most
        now += received.message.size
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= received.message.size
        return []

    shell = mapping(line, step, concurrency=5)
    run_until(shell, lambda: all_committed(line, 40))

    assert most <= (1 << 20) + 5 * 100_100


class Answering:
    """Answers each fingerprint; `fails` raises once in the middle of a batch."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.closed = False
        self.fails = True

    def start(self) -> int | None:
        return None

    def step(self, batch: list[Received[Fingerprint]]) -> Batch:
        if self.fails:
            self.fails = False
            raise Retryable("store-away")
        self.sizes.append(len(batch))
        return Batch([Send("match", Match(image_id=one.record.image_id, seq=one.message.offset)) for one in batch])

    def tick(self) -> Batch | None:
        return None

    def close(self) -> None:
        self.closed = True


def test_batches_are_whole_in_order_and_tried_again(line):
    put_fingerprints(line, 25)
    line.put("fingerprint", b"", b"poison", 0, {})
    handlers: dict[int, Answering] = {}

    def make(partition: int, _uuid: str) -> Answering:
        return handlers.setdefault(partition, Answering())

    shell = Shell("index", line.settings, line.broker)
    shell.batch("fingerprint", make, max_records=10)
    code = run_until(shell, lambda: line.committed("index", "fingerprint") == {0: 26})

    answered = [decode(message.value or b"") for message in line.all("match")]
    assert code == 0
    assert sorted(record.seq for record in answered if isinstance(record, Match)) == list(range(25))
    assert sum(handlers[0].sizes) == 25
    assert max(handlers[0].sizes) <= 10
    assert handlers[0].closed
    assert [letter.value for letter in line.all("fingerprint-dlq")] == [b"poison"]
