"""The query builder as a process: entities and coverage in, queries out."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entityflow.admin import Admin
from entityflow.records import Coverage, Entity, NaturalType, Query
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all, read_topic
from tests.waiting import eventually

Start = Callable[[], subprocess.Popen[str]]
BIRD = NaturalType(id="Q5113", label="bird")
DOMAIN = """
name: birds
roots: [Q5113]
queries: {attributes: [flying, young], rounds: 2, budget: 7}
"""


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "birds.yaml").write_text(DOMAIN)
    own = {
        "ENTITYFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ENTITYFLOW_PREFIX": settings.prefix,
        "ENTITYFLOW_SMALL_TOPICS": "true",
        "ENTITYFLOW_DOMAIN": str(tmp_path / "birds.yaml"),
        "ENTITYFLOW_SESSION_TIMEOUT_SECONDS": "6",
    }
    processes = []

    def begin() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "entityflow.serve", "query_builder"]
        process = subprocess.Popen(command, env={**os.environ, **own}, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def publish(settings: Settings, topic: str, *records: Entity | Coverage) -> None:
    produce_all("test", settings, [Send(topic, record) for record in records], [topic])


def asked(settings: Settings) -> list[tuple[str, int]]:
    return [(record.text, record.round) for _, record in read_topic(settings, "query") if isinstance(record, Query)]


def coverage(entity_id: str, round_: int, decision: str) -> Coverage:
    return Coverage(entity_id=entity_id, round=round_, candidates=9, accepted=1, merged=0, dropped=8, decision=decision)


def committed(settings: Settings, topic: str) -> int:
    return sum(Admin(settings).committed("query_builder", topic).values())


def test_entities_are_asked_for_and_asked_for_again_where_coverage_wants_more(settings: Settings, start: Start) -> None:
    publish(
        settings,
        "entity",
        Entity(id="Q1", label="owl", lang="en", natural_type=BIRD),
        Entity(id="Q2", label="crane", lang="en", natural_type=BIRD, ambiguous=True),
        Entity(id="Q3", label="dodo", lang="en", retired=True),
    )
    start()
    eventually(lambda: committed(settings, "entity") == 3)
    assert sorted(asked(settings)) == [("crane bird", 0), ("owl", 0)]

    publish(
        settings,
        "coverage",
        coverage("Q1", 0, "search-more"),
        coverage("Q2", 0, "enough"),
        coverage("Q3", 0, "search-more"),
        coverage("Q9", 0, "search-more"),
    )

    eventually(lambda: committed(settings, "coverage") == 4)
    assert sorted(asked(settings)) == [("crane bird", 0), ("flying owl", 1), ("owl", 0)]


def test_a_restarted_process_knows_the_entities_of_before(settings: Settings, start: Start) -> None:
    publish(settings, "entity", Entity(id="Q1", label="owl", lang="en", natural_type=BIRD))
    first = start()
    eventually(lambda: committed(settings, "entity") == 1)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=30)
    assert first.returncode == 0

    publish(settings, "coverage", coverage("Q1", 1, "search-more"))
    start()

    eventually(lambda: ("young owl", 2) in asked(settings))
    assert len(asked(settings)) == 2
