"""What a sent record tells of its attempts."""

from pathlib import Path

from entityflow.codec import encode
from entityflow.records import Entity, Query
from entityflow.settings import Settings
from entityflow.stage import Received, Send, Shell
from tests.memory_broker import MemoryBroker


def test_attempts_are_always_told_and_a_wait_only_where_there_was_one(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, metrics_port=0, small_topics=True)
    broker = MemoryBroker(settings, partitions=1)
    broker.log("entity")[0].append((b"Q1", encode(Entity(id="Q1", label="lion", lang="en")), {}, 0))
    shell = Shell("query_builder", settings, broker)

    async def step(received: Received[Entity]) -> list[Send]:
        shell.stop()
        query = Query(id="q", entity_id="Q1", text="lion", lang="en", kind="noun", budget=1)
        return [Send("query", query), Send("query", query, attempt=2, waited=70.5)]

    shell.map("entity", step, concurrency=1)

    assert shell.run() == 0
    first, second = [headers for _, _, headers, _ in broker.log("query")[0]]
    assert (first["attempt"], first.get("waited")) == (b"0", None)
    assert (second["attempt"], second["waited"]) == (b"2", b"70.5")
