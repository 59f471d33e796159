"""The whole line under a storm: no sample is lost, none is there twice, and every byte is what it would have been.

In `make test` a short one with a fixed seed; `make chaos SEED=n` a long one.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from entityflow.admin import create_topics
from entityflow.embedded.ports import free_ports
from entityflow.embedded.supervisor import Stack
from entityflow.settings import Settings, load_settings
from tests.chaos.aftermath import Aftermath, cut_again, everything
from tests.chaos.corpus import offers
from tests.chaos.storm import LONG, POISONED, SHORT, Storm
from tests.integration.command import json_of

PORTS = 8
# of a member that was told to leave: it ended well, was told before Python had begun to listen, or lay dead
GOOD_ENDS = {0, -signal.SIGTERM, None}


@pytest.fixture
def settings_of_own(own_stack: Stack, tmp_path: Path) -> Settings:
    values = own_stack.up(only=("kafka", "s3"))
    named = {name.removeprefix("ENTITYFLOW_").lower(): value for name, value in values.items()}
    made: Settings = load_settings(**{**named, "prefix": "storm", "state_dir": tmp_path / "state"})
    create_topics(made)
    return made


@pytest.fixture
def ports() -> Iterator[list[int]]:
    chosen = free_ports(PORTS, 0)
    serving = subprocess.Popen([sys.executable, "-m", "tests.chaos.corpus", *map(str, chosen)])
    yield chosen
    serving.kill()
    serving.wait()


def test_a_storm_loses_nothing_and_doubles_nothing(
    settings_of_own: Settings, own_stack: Stack, ports: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, begun = settings_of_own, time.monotonic()
    chosen = os.environ.get("ENTITYFLOW_CHAOS_SEED")
    size, seed = (LONG, int(chosen)) if chosen else (SHORT, 1)
    listed = offers(size.pictures, ports)
    storm = Storm(tmp_path, own_stack, settings, size, seed)
    try:
        storm.rage(listed)
        waited = storm.calm()
        storm.stop()
    finally:
        storm.close()
    report, before = json_of(settings, "report"), json_of(settings, "shards", "verify")
    cut = everything(settings)
    again = cut_again(tmp_path, settings, len(cut))
    json_of(settings, "shards", "rewrite")
    after, found = json_of(settings, "shards", "verify"), Aftermath(settings, listed)

    letters = found.dead_letters()
    with capsys.disabled():
        print(f"\nchaos seed {seed}: {storm.seen}; ended by themselves: {storm.members.codes}")
        print(
            f"chaos seed {seed}: {len(listed)} candidates, {report['accepted']} accepted, {report['merged']} merged,"
            f" {report['pending']} pending, {len(found.samples)} samples in {before['shards']} shards,"
            f" {'the same' if cut == again else 'OTHER'} bytes when cut again, dead letters {dict(letters)}"
        )
        print(
            f"chaos seed {seed}: {len(found.lost)} lost, {len(found.doubled)} doubled, {time.monotonic() - begun:.0f} s"
        )
    assert (found.lost, found.doubled, found.shown[-1]) == (set(), set(), 0)
    assert storm.seen.killed.total() == size.kills
    assert waited == 0
    assert set(storm.seen.exit_codes) <= GOOD_ENDS
    assert (report["candidates"], report["pending"]) == (len(listed), 0)
    assert report["outcomes"] == {"accepted": size.pictures, "merged": len(listed) - size.pictures}
    assert letters == Counter(POISONED)
    assert (before["errors"], after["errors"]) == ([], [])
    assert cut == again
    assert found.texts == found.right.texts
    assert found.stored_wrongly() == []
