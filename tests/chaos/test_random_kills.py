"""Services killed at random moments, by a seed: `make chaos SEED=n`. No sample is lost and none is there twice."""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.growing import GROW_SECONDS, Grower, kill_service
from tests.waiting import eventually

SERVICES = ("query_builder", "searcher", "fetcher", "filter", "index", "sharder", "coverage")
KILLS = 5
MOST_REQUESTS_BETWEEN = 25


@pytest.fixture
def grower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grower]:
    made = Grower(tmp_path_factory.mktemp("chaos"))
    yield made
    made.run("down", "--dir", str(made.folder / "stack"), prefix="any")


def test_every_accepted_picture_is_one_sample_whatever_was_killed(grower, capsys):
    seed = int(os.environ.get("ENTITYFLOW_CHAOS_SEED", "1"))
    chance = random.Random(seed)
    killed: Counter[str] = Counter()
    growing = grower.begin_growing("chaos")

    for _ in range(KILLS):
        requests = len(grower.asked()) + chance.randint(0, MOST_REQUESTS_BETWEEN)
        eventually(lambda n=requests: len(grower.asked()) >= n or growing.poll() is not None)
        service = chance.choice(SERVICES)
        eventually(lambda s=service: kill_service(growing, s, killed) or growing.poll() is not None)

    assert growing.wait(GROW_SECONDS) == 0, (grower.folder / "chaos.log").read_text()[-3000:]
    clusters, samples = grower.clusters("chaos"), grower.samples("chaos")
    report = grower.report("chaos")
    verified = json.loads(grower.run("shards", "verify", "--json", prefix="chaos"))
    with capsys.disabled():
        print(f"\nchaos seed {seed}: killed {dict(killed)}, {len(samples)} samples, {report['pending']} pending")
    assert killed.total() == KILLS
    assert report["pending"] == 0
    assert sum(report["outcomes"].values()) == report["candidates"]
    assert set(samples.values()) == {1}
    assert sorted(len(cluster & samples.keys()) for cluster in clusters) == [1] * len(clusters)
    assert len(samples) == len(clusters) == verified["samples"] == report["accepted"]
    assert verified["errors"] == []
