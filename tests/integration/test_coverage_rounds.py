"""coverage as a process: outcomes in, judgements out, the same after it was killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from entityflow.admin import Admin
from entityflow.ids import content_id
from entityflow.records import Coverage, Outcome
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all, read_topic
from tests.integration.command import environment
from tests.waiting import eventually

DOMAIN = Path(__file__).parents[2] / "domains" / "demo.yaml"


def outcomes(settings: Settings, entity: str, *results: str, start: int = 0) -> None:
    produce_all(
        "test",
        settings,
        [
            Send(
                "outcome",
                Outcome(
                    candidate_id=content_id(entity, str(start + i)),
                    url_id="u",
                    entity_id=entity,
                    provider="demo",
                    stage="filter",
                    result=result,
                    at=0.0,
                ),
            )
            for i, result in enumerate(results)
        ],
        ["outcome"],
    )


@contextmanager
def coverage(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    more = {
        "ENTITYFLOW_DOMAIN": str(DOMAIN),
        "ENTITYFLOW_COVERAGE_QUIET_SECONDS": "0.5",
        "ENTITYFLOW_COVERAGE_PAIRS_PER_ENTITY": "2",
        "ENTITYFLOW_COVERAGE_ROUNDS": "1",
        "ENTITYFLOW_SESSION_TIMEOUT_SECONDS": "6",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "entityflow.serve", "coverage"], env=environment(settings, **more)
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def judged(settings: Settings) -> dict[str, Coverage]:
    """The newest judgement of each entity."""
    return {record.entity_id: record for _, record in read_topic(settings, "coverage") if isinstance(record, Coverage)}


def left(settings: Settings) -> int:
    admin = Admin(settings)
    done, ends = admin.committed("coverage", "outcome"), admin.ends(("outcome", p) for p in range(2))
    return sum(end - done.get(partition, 0) for (_, partition), end in ends.items())


def test_entities_are_judged_and_the_group_is_then_at_its_end(settings: Settings) -> None:
    outcomes(settings, "Q1", "accepted", "accepted", "merged", "http-404")
    outcomes(settings, "Q2", "accepted", "too-small")

    with coverage(settings) as process:
        eventually(lambda: left(settings) == 0)
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)

    found = judged(settings)
    assert code == 0
    assert (found["Q1"].candidates, found["Q1"].accepted, found["Q1"].dropped, found["Q1"].decision) == (
        4,
        2,
        1,
        "enough",
    )
    assert (found["Q2"].accepted, found["Q2"].decision) == (1, "search-more")


def test_counts_are_whole_after_a_kill(settings: Settings) -> None:
    outcomes(settings, "Q1", "accepted")
    with coverage(settings) as process:
        eventually(lambda: left(settings) == 0)
        os.kill(process.pid, signal.SIGKILL)
    outcomes(settings, "Q1", "accepted", "merged", start=1)

    with coverage(settings):
        eventually(lambda: left(settings) == 0)

    assert judged(settings)["Q1"].candidates == 3
    assert judged(settings)["Q1"].decision == "enough"
