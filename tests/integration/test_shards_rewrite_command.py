"""`entityflow shards rewrite` and `sweep` on real servers, as a person uses them."""

import io
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from PIL import Image as Picture

from entityflow.objects import Objects
from entityflow.records import FilteredPair
from entityflow.settings import Settings
from entityflow.shards import Manifest, list_manifests
from entityflow.stage import Send, produce_all, read_topic
from entityflow.topics import partition_of
from tests.amends import merge, removal
from tests.cutting import cut_log, surroundings
from tests.filtered_pairs import pair
from tests.integration.command import json_of, run_command

SAMPLES = 3
NUMBERS = [number for number in range(30) if partition_of(pair(number).image_id.encode(), 2) == 0][: 2 * SAMPLES]


@pytest.fixture
def objects(settings: Settings) -> Objects:
    return Objects(settings, budget_seconds=10)


@pytest.fixture
def shards(settings: Settings, objects: Objects, tmp_path) -> list[Manifest]:
    """Two shards of what lies in `filtered-pair`, told in `shard`."""
    pairs = [pair(number) for number in NUMBERS]
    produce_all("filter", settings, [Send("filtered-pair", one) for one in pairs], ["filtered-pair"])
    uuid = next(message.topic_uuid for message, _ in read_topic(settings, "filtered-pair"))
    objects.ensure_bucket()
    sent = cut_log(replace(surroundings(tmp_path), objects=objects), pairs, uuid=uuid)
    produce_all("sharder", settings, [Send("shard", event) for event in sent], ["shard"])
    return list(list_manifests(objects))


def learn(settings: Settings, *amends) -> None:
    produce_all("filter", settings, [Send("amend", amend) for amend in amends], ["amend"])


def keys(objects: Objects) -> set[str]:
    return {item.key for item in objects.list("shards/")}


def pictures(objects: Objects) -> set[str]:
    """Of all samples that are there, each read by its range and decoded."""
    found = set()
    for manifest in list_manifests(objects):
        for row in pq.read_table(io.BytesIO(objects.get(manifest.table.key))).to_pylist():
            if row["status"] == "success":
                data = objects.get_range(manifest.tar.key, row["offset"], row["bytes"])
                assert Picture.open(io.BytesIO(data)).size == (row["width"], row["height"])
                found.add(row["key"])
    return found


def ids(pairs: list[FilteredPair]) -> set[str]:
    return {one.image_id for one in pairs}


def test_what_was_learned_is_said_first_then_done_once_and_old_files_stay_for_a_while(settings, objects, shards):
    learn(settings, merge(NUMBERS[0], "d"), removal(NUMBERS[1], "decontaminate", "near-benchmark"))
    before = keys(objects)

    said = json_of(settings, "shards", "rewrite", "--dry-run")
    assert keys(objects) == before
    done = json_of(settings, "shards", "rewrite")
    again = json_of(settings, "shards", "rewrite")

    assert said["rewritten"] == done["rewritten"]
    assert [(one["shard_id"], one["version"], one["changed"], one["removed"]) for one in done["rewritten"]] == [
        (shards[0].shard_id, 2, 1, 1)
    ]
    assert (done["events"], done["deleted"], again["rewritten"], again["events"]) == (1, [], [], 0)
    assert pictures(objects) == ids([pair(number) for number in NUMBERS]) - {pair(NUMBERS[1]).image_id}
    assert json_of(settings, "shards", "verify")["errors"] == []
    swept = json_of(settings, "shards", "sweep", "--delete")["files"]
    assert [(one["why"], one["deleted"]) for one in swept] == [("superseded", False)] * 2
    assert json_of(settings, "shards", "rewrite", "--grace-hours", "0")["deleted"] == [one["key"] for one in swept]


def test_what_is_forgotten_is_gone_from_the_bucket_after_one_rewrite(settings, objects, shards):
    gone = [pair(NUMBERS[0]), pair(NUMBERS[4])]
    for words in (["--sha256", gone[0].image_id], ["--url", gone[1].sources[0].url]):
        assert run_command(settings, "forget", *words).returncode == 0

    done = json_of(settings, "shards", "rewrite")

    assert [(one["version"], one["removed"]) for one in done["rewritten"]] == [(2, 1), (2, 1)]
    assert pictures(objects) == ids([pair(number) for number in NUMBERS]) - ids(gone)
    assert {item.key for manifest in shards for item in manifest.objects}.isdisjoint(keys(objects))
    everything = b"".join(objects.get(key) for key in keys(objects))
    assert gone[1].sources[0].url.encode() not in everything
    assert gone[0].payload not in everything
    assert json_of(settings, "shards", "verify")["errors"] == []
