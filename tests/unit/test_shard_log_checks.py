"""What verify says where shards and broker do not fit together."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from entityflow.objects import Objects
from entityflow.shard_log_checks import LogState, check
from entityflow.shards import Manifest, list_manifests
from tests.cutting import cut_log, surroundings
from tests.filtered_pairs import pair
from tests.memory_objects import MemoryObjects

NOW = datetime.now(UTC) + timedelta(hours=1)
UUID = "uuid"


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """Two shards of three samples in partition 0."""
    around = surroundings(tmp_path)
    cut_log(around, [pair(number) for number in range(6)])
    return around.objects


@pytest.fixture
def state(objects: MemoryObjects) -> LogState:
    """A broker that agrees."""
    events = {one.shard_id: one.event() for one in list_manifests(objects)}
    return LogState(UUID, starts={0: 0, 1: 0}, ends={0: 8, 1: 0}, committed={0: 6, 1: 0}, events=events, at=NOW)


def said(objects: MemoryObjects, state: LogState) -> list[tuple[str, str]]:
    return [(one.shard_id, one.what) for one in check(objects, state)]


def newest(objects: MemoryObjects) -> Manifest:
    return list(list_manifests(objects))[-1]


def test_shards_and_broker_that_agree_have_nothing_to_say(objects, state):
    assert said(objects, state) == []


def test_records_that_are_committed_and_in_no_shard_are_named(objects, state):
    assert said(objects, replace(state, committed={0: 8, 1: 0})) == [
        ("p000", "offsets 6 to 7 of filtered-pair are committed or deleted, and in no shard")
    ]


def test_records_that_were_deleted_before_they_were_in_a_shard_are_named(objects, state):
    assert said(objects, replace(state, starts={0: 6, 1: 2}, ends={0: 8, 1: 4})) == [
        ("p001", "offsets 0 to 1 of filtered-pair are committed or deleted, and in no shard")
    ]


def test_a_shard_of_offsets_that_the_log_does_not_have_is_named(objects, state):
    assert said(objects, replace(state, ends={0: 5, 1: 0}, committed={0: 3})) == [
        ("p000-000000000003", "ends at offset 5, partition 0 at 5")
    ]


def test_shards_of_a_topic_that_was_made_anew_are_named(objects, state):
    assert {what for _, what in said(objects, replace(state, uuid="new"))} == {
        "was cut from another topic filtered-pair than the one that is there now"
    }


def test_a_manifest_that_was_not_told_is_named_unless_it_is_from_just_now(objects, state):
    first, last = sorted(state.events)
    silent = replace(state, events={first: state.events[first]})

    assert said(objects, silent) == [(last, "version 1 is not told in shard; the sharder tells it")]
    assert said(objects, replace(silent, at=datetime.now(UTC))) == []


def test_a_later_version_that_was_not_told_is_named_with_its_cure(objects, state):
    later = replace(newest(objects), version=2)
    objects.put(later.key, later.encode())

    assert said(objects, state) == [
        (later.shard_id, "version 2 is not told in shard; entityflow shards rewrite tells it")
    ]


def test_events_of_what_is_not_there_or_other_than_the_manifest_are_named(objects, state):
    first, last = sorted(state.events)
    events = {
        first: replace(state.events[first], sha256="0" * 64),
        last: replace(state.events[last], version=3),
        "p001-000000000000": replace(state.events[last], shard_id="p001-000000000000"),
    }

    assert said(objects, replace(state, events=events)) == [
        (first, "the event in shard says other things than the manifest"),
        (last, "version 3 is told in shard, and has no manifest"),
        ("p001-000000000000", "version 1 is told in shard, and has no manifest"),
    ]
