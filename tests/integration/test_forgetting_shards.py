"""Forgotten with the commands that a person has: counted, rewritten, gone from every object in the bucket."""

import subprocess
import sys
from dataclasses import replace

import pytest

from entityflow.objects import Objects
from entityflow.records import Amend, FilteredPair, PairSource, PairText, Seal
from entityflow.settings import Settings
from entityflow.shards import list_manifests
from entityflow.stage import Send, produce_all
from tests.filtered_pairs import pair
from tests.integration.command import environment, json_of
from tests.waiting import eventually

PAIRS = 6


def from_site(number: int) -> FilteredPair:
    """Every other picture comes from gone.test."""
    site = "gone.test" if number % 2 else "stays.test"
    source = PairSource(candidate_id=f"{number:032x}", url=f"http://{site}/{number}.jpg", page_url="http://page.test/")
    text = PairText(text=f"hill {number} of {site}", kind="alt", source=source.candidate_id)
    return replace(pair(number), sources=(source,), texts=(text,))


def merged(number: int, host: str) -> Amend:
    """A second source of a sample, with its text."""
    source = PairSource(candidate_id="e" * 32, url=f"http://{host}/again.jpg")
    text = PairText(text=f"found again at {host}", kind="alt", source=source.candidate_id)
    identity = pair(number).image_id
    return Amend(image_id=identity, kind="merge", candidate_id=source.candidate_id, sources=(source,), texts=(text,))


@pytest.fixture
def sharded(settings: Settings) -> Settings:
    """One shard of six samples, the first with a second source at gone.test."""
    Objects(settings).ensure_bucket()
    sends = [Send("filtered-pair", from_site(number), partition=0) for number in range(PAIRS)]
    sends += [Send("filtered-pair", Seal(partition=0, start=0, cause="asked"), partition=0)]
    sends += [Send("amend", merged(0, "img.gone.test"), partition=0)]
    produce_all("test", settings, sends, ["filtered-pair", "amend"])
    sharder = subprocess.Popen(
        [sys.executable, "-m", "entityflow.serve", "sharder"],
        env=environment(settings, ENTITYFLOW_SMALL_TOPICS="true"),
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: list(list_manifests(Objects(settings))))
    sharder.terminate()
    assert sharder.wait(60) == 0
    return settings


def test_what_is_forgotten_is_in_no_object_any_more(sharded: Settings) -> None:
    json_of(sharded, "shards", "rewrite")
    (whole,) = list_manifests(Objects(sharded))
    told = json_of(sharded, "forget", "--host", "gone.test", "--dry-run")

    json_of(sharded, "forget", "--host", "gone.test")
    json_of(sharded, "shards", "rewrite")

    (manifest,) = list_manifests(Objects(sharded))
    assert (told["samples"], told["sources"], [one["shard_id"] for one in told["shards"]]) == (3, 1, [whole.shard_id])
    assert (whole.count + whole.heldout_count, manifest.count + manifest.heldout_count) == (PAIRS, 3)
    assert manifest.version > whole.version
    objects = Objects(sharded)
    left = {one.key: objects.get(one.key) for one in objects.list()}
    assert [key for key, content in left.items() if b"gone.test" in content] == []
    assert json_of(sharded, "shards", "verify")["errors"] == []
    assert json_of(sharded, "forget", "--host", "gone.test", "--dry-run")["samples"] == 0
