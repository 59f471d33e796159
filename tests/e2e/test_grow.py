"""The whole line on real servers, as a user runs it: grow, again, further, and with services killed in the middle."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.growing import GROW_SECONDS, Grower, kill_service, restarted
from tests.waiting import eventually

HIGHER_LIMIT = 16
# what the demo web says once and for all: nobody may ask for it again
FINAL = {200, 404, 410}


@pytest.fixture(scope="module")
def grower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grower]:
    made = Grower(tmp_path_factory.mktemp("grow"))
    yield made
    made.run("down", "--dir", str(made.folder / "stack"), prefix="any")


@pytest.fixture(scope="module")
def undisturbed(grower: Grower) -> Counter[str]:
    grower.grow("calm")
    return grower.samples("calm")


def test_growing_ends_in_verified_shards_and_a_model(grower, undisturbed):
    report = grower.report("calm")
    verified = json.loads(grower.run("shards", "verify", "--json", prefix="calm"))

    assert verified["errors"] == []
    assert verified["samples"] == report["accepted"] == len(undisturbed) > 20
    assert report["shards"]["count"] >= 2
    assert 0 < report["model"]["accuracy"] <= 1


def test_every_candidate_is_accounted_for(grower, undisturbed):
    report = grower.report("calm")

    outcomes = report["outcomes"]
    assert outcomes["accepted"] == report["accepted"]
    assert outcomes["merged"] == report["merged"]
    assert sum(outcomes.values()) == report["candidates"]
    assert report["pending"] == 0


def test_killed_filters_and_indexes_change_nothing(grower, undisturbed):
    growing = grower.begin_growing("stormy")
    killed: Counter[str] = Counter()
    for round_ in range(2):
        for service in ("filter", "index"):
            eventually(lambda s=service: kill_service(growing, s, killed) or growing.poll() is not None)
        accepted_before = killed.total()
        eventually(lambda n=round_: restarted(growing) or growing.poll() is not None)
        assert accepted_before == 2 * (round_ + 1)

    assert growing.wait(GROW_SECONDS) == 0, (grower.folder / "stormy.log").read_text()[-3000:]
    assert grower.pictures("stormy") == grower.pictures("calm")
    assert set(grower.samples("stormy").values()) == {1}
    assert grower.report("stormy")["accepted"] == len(undisturbed)


def test_the_same_command_again_adds_nothing_and_asks_nobody_twice(grower, undisturbed):
    before = grower.report("calm")
    asked_before = len(grower.asked())

    grower.grow("calm")

    after = grower.report("calm")
    assert after["accepted"] == before["accepted"]
    assert after["shards"] == before["shards"]
    assert [entry for entry in grower.asked()[asked_before:] if entry["status"] in FINAL] == []


def test_a_higher_limit_adds_more_and_no_sample_twice(grower, undisturbed):
    asked = {(entry["host"], entry["path"]) for entry in grower.asked() if entry["status"] in FINAL}
    known = len(grower.asked())

    grower.grow("calm", limit=HIGHER_LIMIT)

    samples: Counter[str] = grower.samples("calm")
    assert set(undisturbed) < set(samples)
    assert set(samples.values()) == {1}
    again = [entry for entry in grower.asked()[known:] if (entry["host"], entry["path"]) in asked]
    assert again == []
