"""New versions of shards: what they hold, and that they are the same whatever happens to the runs that write them."""

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from entityflow.errors import UserError
from entityflow.records import Amend, Record, Seal, Shard, Tombstone
from entityflow.shard_leftovers import FORGOTTEN, ORPHAN, SUPERSEDED, delete, leftovers, planned_files
from entityflow.shards import Manifest, list_manifests
from entityflow.tombstones import tombstone_of
from services.sharder.rewriting import Rewriting, Summary
from services.sharder.samples import pair_of
from tests.amends import merge, removal, without
from tests.cutting import cut_log, surroundings
from tests.filtered_pairs import pair
from tests.memory_objects import MemoryObjects

ASKED = Seal(partition=0, start=0, cause="asked")
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class MemoryLogs:
    """The topics as lists; `told` is what lies in `shard`."""

    def __init__(self, amends: list[Record], tombstones: list[Tombstone] | None = None) -> None:
        self.log, self.stones = amends, tombstones or []
        self.events: list[Shard] = []
        self.begun: list[int] = []

    def amend_uuid(self) -> str:
        return "amend"

    def tombstone_uuid(self) -> str:
        return "tombstone"

    def tombstones(self) -> Iterator[tuple[int, str, Record | None]]:
        return ((at, stone.id, stone) for at, stone in enumerate(self.stones))

    def amends(self, partition: int, start: int | None) -> Iterator[tuple[int, Record | None]]:
        self.begun.append(start or 0)
        return ((at, record) for at, record in enumerate(self.log) if at >= (start or 0))

    def told(self) -> Mapping[str, int]:
        return {event.shard_id: event.version for event in self.events}

    def tell(self, events: Iterable[Shard]) -> None:
        self.events += events


@pytest.fixture
def objects(tmp_path: Path) -> MemoryObjects:
    """Two shards of three samples, the second of each held out; the pictures 0 to 5."""
    return stocked(tmp_path / "cut")


def stocked(folder: Path) -> MemoryObjects:
    around = surroundings(folder)
    cut_log(around, [pair(number, heldout=number in (1, 4)) for number in range(6)])
    return around.objects


def run(objects: MemoryObjects, logs: MemoryLogs, folder: Path, **more: bool) -> Summary:
    folder.mkdir(exist_ok=True)
    return Rewriting(objects, logs, folder, folder / "tables", **more).run()


def newest(objects: MemoryObjects) -> list[Manifest]:
    return list(list_manifests(objects))


def samples(objects: MemoryObjects, manifest: Manifest) -> dict[str, list[str]]:
    """Candidates of each sample that a tar of the version holds."""
    found = {}
    for item in (manifest.tar, manifest.heldout):
        if item is not None:
            with tarfile.open(fileobj=io.BytesIO(objects.get(item.key))) as tar:
                data = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
            for name in data:
                if name.endswith(".jpg"):
                    found[name[:-4]] = pair_of(data[name[:-4] + ".json"], data[name])
    return {key: [source.candidate_id for source in sample.sources] for key, sample in found.items()}


def rows(objects: MemoryObjects, manifest: Manifest) -> list[dict[str, object]]:
    return pq.read_table(io.BytesIO(objects.get(manifest.table.key))).to_pylist()


def stone(**named: str) -> Tombstone:
    ((kind, text),) = named.items()
    return tombstone_of(kind, text, 0.0)


def ids(*numbers: int) -> list[str]:
    return [pair(number).image_id for number in numbers]


def test_a_merge_makes_the_next_version_of_its_shard_and_of_no_other(objects, tmp_path):
    before = newest(objects)
    logs = MemoryLogs([merge(2, "d")])

    summary = run(objects, logs, tmp_path / "run")

    first, second = newest(objects)
    assert [(one.shard_id, one.version, one.changed, one.removed) for one in summary.rewritten] == [
        ("p000-000000000000", 2, 1, 0)
    ]
    assert samples(objects, first) == {ids(0)[0]: ["c"], ids(1)[0]: ["c"], ids(2)[0]: ["c", "d"]}
    assert (first.input, first.count, first.heldout_count) == (before[0].input, 2, 1)
    assert (first.folded.amend_end, first.folded.amend_uuid, first.folded.forgotten) == (1, "amend", 0)
    assert first.heldout == before[0].heldout
    assert second == before[1]
    assert [(event.shard_id, event.version, event.manifest) for event in logs.events] == [
        ("p000-000000000000", 2, "shards/p000/000000000000.v2.json")
    ]


def test_rows_of_a_version_place_its_pictures_and_keep_only_the_hash_of_what_left(objects, tmp_path):
    run(objects, MemoryLogs([removal(0, "decontaminate", "near-benchmark"), merge(2, "d")]), tmp_path / "run")

    first, _ = newest(objects)
    gone, heldout, merged = rows(objects, first)
    assert (first.count, first.heldout_count, first.removed) == (1, 1, 1)
    assert {name: value for name, value in gone.items() if value is not None} == {
        "key": ids(0)[0],
        "sha256": ids(0)[0],
        "status": "removed",
        "error_message": "near-benchmark",
        "heldout": False,
    }
    assert merged["urls"] == ["http://h.test/2", "http://d.test/x"]
    for row, number, tar in ((heldout, 1, first.heldout), (merged, 2, first.tar)):
        assert objects.get_range(tar.key, row["offset"], row["bytes"]) == pair(number).payload


def test_a_picture_that_left_does_not_come_back_by_a_sharder(objects, tmp_path):
    run(objects, MemoryLogs([removal(0, "refilter", "too-small")]), tmp_path / "run")

    cut_log(replace(surroundings(tmp_path / "next"), objects=objects), [pair(0), pair(7), ASKED], first=6)

    assert list(samples(objects, newest(objects)[-1])) == ids(7)


def test_a_second_run_changes_nothing_and_reads_only_what_is_new(objects, tmp_path):
    logs = MemoryLogs([merge(2, "d"), removal(4, "refilter", "too-small")])
    run(objects, logs, tmp_path / "run")
    content, events = dict(objects.content), list(logs.events)

    summary = run(objects, logs, tmp_path / "run")

    assert (summary.rewritten, summary.events) == ([], 0)
    assert objects.content == content
    assert logs.events == events
    assert logs.begun == [0, 2]


def test_a_later_amend_makes_a_third_version(objects, tmp_path):
    logs = MemoryLogs([merge(2, "d")])
    run(objects, logs, tmp_path / "run")
    logs.log.append(merge(2, "e"))

    run(objects, logs, tmp_path / "run")

    first, _ = newest(objects)
    assert first.version == 3
    assert samples(objects, first)[ids(2)[0]] == ["c", "d", "e"]
    assert logs.told() == {"p000-000000000000": 3}


def test_what_is_read_again_because_another_amend_waits_makes_no_new_version(objects, tmp_path):
    logs = MemoryLogs([merge(8, "d"), without(2, pair(2).texts[0]), merge(2, "e"), without(2, *merge(2, "e").texts)])
    run(objects, logs, tmp_path / "run")
    content = dict(objects.content)
    del objects.content[newest(objects)[0].tar.key]  # it would be missed

    summary = run(objects, logs, tmp_path / "run")

    assert (summary.rewritten, summary.unplaced, logs.begun) == ([], 1, [0, 0])
    assert {**objects.content, **content} == content


def test_an_amend_waits_for_the_shard_of_its_sample(objects, tmp_path):
    logs = MemoryLogs([merge(8, "d"), merge(2, "d")])
    first = run(objects, logs, tmp_path / "run")
    cut_log(replace(surroundings(tmp_path / "next"), objects=objects), [pair(8), ASKED], first=6)

    second = run(objects, logs, tmp_path / "run")

    assert (first.unplaced, second.unplaced) == (1, 0)
    assert [one.shard_id for one in second.rewritten] == ["p000-000000000006"]
    assert logs.begun == [0, 0]


def test_a_shard_that_loses_all_its_samples_is_told_with_none(objects, tmp_path):
    logs = MemoryLogs([removal(number, "refilter", "too-small") for number in (0, 1, 2)])

    run(objects, logs, tmp_path / "run")

    first, _ = newest(objects)
    assert (first.count, first.heldout_count, first.removed, first.tar, first.heldout) == (0, 0, 3, None, None)
    assert [(event.version, event.count) for event in logs.events] == [(2, 0)]


def test_a_dry_run_counts_and_writes_nothing(objects, tmp_path):
    content = dict(objects.content)

    summary = run(objects, MemoryLogs([merge(2, "d")]), tmp_path / "run", publishes=False)

    assert [(one.shard_id, one.changed) for one in summary.rewritten] == [("p000-000000000000", 1)]
    assert objects.content == content


def test_kinds_of_a_later_version_are_counted_and_left_alone(objects, tmp_path):
    summary = run(objects, MemoryLogs([removal(0, "re-imagine")]), tmp_path / "run")

    assert (summary.unknown, summary.rewritten) == (1, [])


@pytest.mark.parametrize(
    ("stones", "left"),
    [
        ([stone(sha256=pair(2).image_id)], [0, 1, 3, 4, 5]),
        ([stone(url="http://h.test/0")], [1, 2, 3, 4, 5]),
        ([stone(host="h.test")], []),
        ([stone(url="http://elsewhere.test/0"), stone(host="d.test")], [0, 1, 2, 3, 4, 5]),
    ],
    ids=["sha256", "url", "host", "a later source"],
)
def test_what_is_forgotten_leaves_every_byte_of_earlier_versions_goes_at_once(objects, tmp_path, stones, left):
    logs = MemoryLogs([merge(2, "d")])
    run(objects, logs, tmp_path / "run")
    logs.stones += stones

    run(objects, logs, tmp_path / "run")
    found = list(delete(objects, [one for one in leftovers(objects) if one.may_go(NOW, DAY, frozenset())]))

    kept = [samples(objects, manifest) for manifest in newest(objects)]
    assert sorted(key for one in kept for key in one) == sorted(ids(*left))
    assert {one.why for one in found} == {FORGOTTEN}
    for key, content in objects.content.items():
        assert b"http://d.test/x" not in content or stones[0].kind in ("sha256", "url"), key
    assert all(one.folded.tombstone_end == len(stones) for one in newest(objects) if one.version > 2)


def test_a_copy_of_a_merge_from_long_ago_can_be_forgotten_by_its_own_hash(objects, tmp_path):
    logs = MemoryLogs([merge(2, "d", copy="ab" * 32), merge(2, "e")])
    run(objects, logs, tmp_path / "run")
    logs.stones.append(stone(sha256="ab" * 32))

    run(objects, logs, tmp_path / "run")

    assert samples(objects, newest(objects)[0])[ids(2)[0]] == ["c", "e"]


def test_a_pair_that_was_under_way_when_it_was_forgotten_leaves_the_shard_that_it_got_into(objects, tmp_path):
    logs = MemoryLogs([], [stone(url="http://h.test/8")])
    run(objects, logs, tmp_path / "run")
    cut_log(replace(surroundings(tmp_path / "next"), objects=objects), [pair(8), pair(9), ASKED], first=6)

    run(objects, logs, tmp_path / "run")

    assert list(samples(objects, newest(objects)[-1])) == ids(9)


def test_a_damaged_tar_is_named_and_nothing_is_made_of_it(objects, tmp_path):
    key = newest(objects)[0].tar.key
    objects.content[key] = objects.content[key][:-1]

    with pytest.raises(UserError, match=key):
        run(objects, MemoryLogs([merge(2, "d")]), tmp_path / "run")

    assert [one.version for one in newest(objects)] == [1, 1]


class Rival(MemoryObjects):
    """Another run writes the next version just before ours."""

    def __init__(self, content: dict[str, bytes], rival: Rewriting) -> None:
        super().__init__()
        self.content, self._rival = content, rival

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        if self._rival:
            rival, self._rival = self._rival, None
            rival.run()
        return super().put_if_absent(key, data)


@pytest.mark.parametrize("theirs", [[merge(2, "d"), merge(2, "e")], [merge(2, "d")]], ids=["the same", "less"])
def test_of_two_runs_at_once_each_version_is_written_once_and_nothing_is_missing(objects, tmp_path, theirs):
    (tmp_path / "rival").mkdir()
    rival = Rewriting(objects, MemoryLogs(list(theirs)), tmp_path / "rival", tmp_path / "tables")
    both = Rival(objects.content, rival)

    run(both, MemoryLogs([merge(2, "d"), merge(2, "e")]), tmp_path / "run")

    first, _ = newest(objects)
    assert first.version == 4 - len(theirs)
    assert samples(objects, first)[ids(2)[0]] == ["c", "d", "e"]


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


class DiesBefore(MemoryObjects):
    """The process ends at its n-th write or event."""

    def __init__(self, content: dict[str, bytes], steps: int) -> None:
        super().__init__()
        self.content, self._left = content, steps

    def step(self) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1

    def put(self, key: str, data: bytes | Path) -> None:
        self.step()
        super().put(key, data)


LEARNED: list[Record] = [
    merge(0, "d"),
    removal(1, "decontaminate", "near-benchmark"),
    merge(5, "e"),
    removal(3, "refilter", "too-small"),
]


def test_a_run_killed_at_any_step_is_made_up_for_by_the_next(tmp_path):
    calm, calm_logs = stocked(tmp_path / "calm"), MemoryLogs(LEARNED)
    run(calm, calm_logs, tmp_path / "run")
    steps = 0
    while True:
        objects, logs = stocked(tmp_path / f"cut{steps}"), MemoryLogs(LEARNED)
        dying = DiesBefore(objects.content, steps)
        tell, logs.tell = (
            logs.tell,
            lambda events, dying=dying, logs=logs: (dying.step(), MemoryLogs.tell(logs, events)),
        )
        try:
            run(dying, logs, tmp_path / "run")
        except Killed:
            logs.tell = tell
            run(objects, logs, tmp_path / "run")
        else:
            break
        finally:
            steps += 1

        assert objects.content == calm.content
        assert logs.told() == calm_logs.told()
    assert steps == 1 + 3 + 3 + 1 + 1  # files and manifest of two shards, the events, the progress


amends = st.lists(
    st.one_of(
        st.builds(merge, st.integers(0, 6), st.sampled_from("def")),
        st.builds(removal, st.integers(0, 6), st.sampled_from(["refilter", "decontaminate"]), st.just("too-small")),
    ),
    max_size=6,
)


@effort(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(amends, st.data())
def test_any_order_of_amends_gives_the_same_objects(tmp_path_factory, learned: list[Amend], data):
    shuffled = data.draw(st.permutations(learned))
    found = []
    for log in (learned, shuffled):
        folder = tmp_path_factory.mktemp("any")
        objects = stocked(folder)
        run(objects, MemoryLogs(log), folder)
        found.append({key: value for key, value in objects.content.items() if key.startswith("shards/")})

    assert found[0] == found[1]


def test_files_of_an_earlier_version_stay_for_the_time_of_grace_and_for_plans(objects, tmp_path):
    before = newest(objects)[0]
    run(objects, MemoryLogs([merge(2, "d")]), tmp_path / "run")
    plan = b'{"group": 7, "sources": [{"ref": {"tar": "%s", "heldout_tar": null}}]}' % before.tar.key.encode()

    found = {one.key: one for one in leftovers(objects)}

    assert {one.why for one in found.values()} == {SUPERSEDED}
    assert set(found) == {before.tar.key, before.table.key}
    assert not found[before.tar.key].may_go(NOW + DAY / 2, DAY, frozenset())
    assert found[before.tar.key].may_go(NOW + 2 * DAY, DAY, frozenset())
    objects.put("training/plans/000007.json", plan)
    assert not found[before.tar.key].may_go(NOW + 2 * DAY, DAY, planned_files(objects))


def test_an_orphan_that_was_written_again_since_it_was_found_is_not_deleted(objects):
    for name in "ab":
        objects.put(f"shards/p000/000000000009-{name * 12}.tar", b"left behind")
    found = leftovers(objects)
    objects.put(found[0].key, b"written again")

    deleted = list(delete(objects, found))

    assert [one.why for one in found] == [ORPHAN, ORPHAN]
    assert [one.key for one in deleted] == [found[1].key]
    assert objects.size(found[0].key) is not None
