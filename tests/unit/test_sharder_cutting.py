"""Where shards are cut, and that they are the same whatever happens to the sharders that cut them."""

import io
import json
import resource
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from entityflow.errors import LossDetected, Retryable, UserError
from entityflow.records import Record, Seal, Shard
from entityflow.shards import list_manifests
from entityflow.stage import Received
from services.sharder.cutting import Cutting, Surroundings
from services.sharder.known import MERGED_AT, KnownPictures
from services.sharder.open_shard import Limits
from services.sharder.spool import Room, new_folder, remove_left_behind
from tests.cutting import surroundings
from tests.filtered_pairs import pair, received
from tests.memory_objects import MemoryObjects

Log = list[Record]
HANDLERS: list[Cutting] = []


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return surroundings(tmp_path)


@pytest.fixture(autouse=True)
def _no_files_stay_open() -> Iterator[None]:
    yield
    while HANDLERS:
        HANDLERS.pop().close()


def started(around: Surroundings, uuid: str = "uuid") -> tuple[Cutting, int]:
    handler = Cutting(0, uuid, around)
    HANDLERS.append(handler)
    begin = handler.start()
    assert begin is not None
    return handler, begin


def cut(around: Surroundings, log: Log, runs: int = 1000) -> list[Record]:
    """One sharder reads the whole log, `runs` records at a time; what it sent."""
    handler, begin = started(around)
    sent = [send.record for send in handler.tick().sends]
    for at in range(begin, len(log), runs):
        last = min(at + runs, len(log))
        sent += [send.record for send in handler.step([received(log[i], i) for i in range(at, last)]).sends]
    handler.close()
    return sent


def asked(start: int = 0) -> Seal:
    return Seal(partition=0, start=start, cause="asked")


def ranges(around: Surroundings) -> list[tuple[int, int, int]]:
    return [(one.input.start, one.input.end, one.count + one.heldout_count) for one in list_manifests(around.objects)]


def events(sent: list[Record]) -> list[str]:
    return [record.shard_id for record in sent if isinstance(record, Shard)]


def test_a_shard_ends_with_the_sample_that_reaches_the_count(around):
    sent = cut(around, [pair(number) for number in range(7)])

    assert ranges(around) == [(0, 2, 3), (3, 5, 3)]
    assert events(sent) == ["p000-000000000000", "p000-000000000003"]


def test_a_shard_ends_with_the_sample_that_reaches_the_bytes(tmp_path):
    around = surroundings(tmp_path, samples=100, size=100)

    cut(around, [pair(number, payload=b"x" * 60) for number in range(5)])

    assert ranges(around) == [(0, 1, 2), (2, 3, 2)]


def test_a_seal_closes_what_is_open_and_belongs_to_it(around):
    cut(around, [pair(0), asked(), pair(1), pair(2)])

    assert ranges(around) == [(0, 1, 1)]


def test_a_seal_by_age_closes_only_the_range_that_it_was_written_for(around):
    late, right = (Seal(partition=0, start=start, cause="age") for start in (0, 3))

    cut(around, [pair(0), pair(1), pair(2), late, pair(3), right])

    assert ranges(around) == [(0, 2, 3), (3, 5, 1)]


def test_a_sealed_range_without_samples_has_a_manifest_and_nothing_else(around):
    sent = cut(around, [asked(), pair(0)])

    assert ranges(around) == [(0, 0, 0)]
    assert list(around.objects.content) == ["shards/p000/000000000000.json"]
    assert events(sent) == []


def test_a_picture_becomes_a_sample_once_in_its_partition(around):
    cut(around, [pair(0), pair(0), pair(1), pair(2), pair(1), pair(0), asked()])

    assert ranges(around) == [(0, 3, 3), (4, 6, 0)]


def test_a_picture_of_an_earlier_owner_is_known_to_the_next(around):
    cut(around, [pair(0), pair(1), pair(2)])

    cut(around, [pair(0), pair(1), pair(2), pair(0), pair(3), asked()])

    assert ranges(around) == [(0, 2, 3), (3, 5, 1)]


def test_held_out_samples_lie_in_a_tar_of_their_own(around):
    cut(around, [pair(0), pair(1, heldout=True), pair(2)])

    (manifest,) = list_manifests(around.objects)
    assert (manifest.count, manifest.heldout_count) == (2, 1)
    assert names(around, manifest.tar.key) == [
        f"{pair(n).image_id}.{e}" for n in (0, 2) for e in ("jpg", "txt", "json")
    ]
    assert names(around, manifest.heldout.key) == [f"{pair(1).image_id}.{e}" for e in ("jpg", "txt", "json")]
    assert manifest.heldout.key.endswith(".heldout.tar")


def names(around: Surroundings, key: str) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(around.objects.get(key))) as tar:
        return tar.getnames()


def test_members_hold_picture_main_text_and_sorted_json(around):
    cut(around, [pair(0), asked()])

    (manifest,) = list_manifests(around.objects)
    with tarfile.open(fileobj=io.BytesIO(around.objects.get(manifest.tar.key))) as tar:
        members = tar.getmembers()
        jpg, txt, description = (tar.extractfile(member).read() for member in members)
    assert {(one.mtime, one.uid, one.gid, one.uname, one.mode) for one in members} == {(0, 0, 0, "", 0o644)}
    assert [one.pax_headers for one in members] == [{}, {}, {}]
    assert (jpg, txt.decode()) == (pair(0).payload, "ält 0")
    plain = json.loads(description)
    assert list(plain) == sorted(plain)
    assert [text["text"] for text in plain["texts"]] == ["title 0", "ält 0"]


def test_a_row_of_the_table_finds_its_picture_in_the_tar(around):
    cut(around, [pair(0), pair(1, heldout=True), pair(2)])

    (manifest,) = list_manifests(around.objects)
    rows = pq.read_table(io.BytesIO(around.objects.get(manifest.table.key))).to_pylist()
    for number, row in enumerate(rows):
        tar = manifest.heldout if row["heldout"] else manifest.tar
        assert around.objects.get_range(tar.key, row["offset"], row["bytes"]) == pair(number).payload
    assert [(row["caption"], row["status"]) for row in rows] == [(f"ält {n}", "success") for n in range(3)]


logs = st.lists(
    st.one_of(
        st.builds(pair, st.integers(0, 8), st.booleans(), st.just(b"x" * 40)),
        st.builds(Seal, partition=st.just(0), start=st.integers(0, 12), cause=st.sampled_from(["asked", "age"])),
    ),
    max_size=25,
)


@effort(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(logs, st.lists(st.tuples(st.integers(1, 6), st.integers(0, 12)), max_size=6))
def test_any_kills_of_sharders_leave_the_same_objects(tmp_path_factory, log, lives):
    calm, stormy = (surroundings(tmp_path_factory.mktemp(name)) for name in ("calm", "stormy"))
    told = events(cut(calm, log))

    heard: list[str] = []
    for runs, puts in lives:
        heard += life(stormy, log, runs, puts)
    heard += events(cut(stormy, log, 2))

    assert stormy.objects.content == calm.objects.content
    assert set(heard) == set(told)


class DiesAfter(MemoryObjects):
    """The process ends after so many writes."""

    def __init__(self, content: dict[str, bytes], puts: int) -> None:
        super().__init__()
        self.content, self._left = content, puts

    def put(self, key: str, data: bytes | Path) -> None:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        super().put(key, data)


def life(around: Surroundings, log: Log, runs: int, puts: int) -> list[str]:
    """A sharder that is killed after some writes to the store; the events that the broker has acknowledged."""
    dying = replace(around, objects=DiesAfter(around.objects.content, puts))
    heard: list[str] = []
    try:
        handler, begin = started(dying)
        for at in range(begin, len(log), runs):
            batch = [received(log[i], i) for i in range(at, min(at + runs, len(log)))]
            heard += events([send.record for send in handler.step(batch).sends])
    except KeyboardInterrupt:
        pass
    return heard


def test_what_was_committed_but_not_told_is_told_by_the_next_owner(around):
    handler, _ = started(around)
    handler.step([received(pair(number), number) for number in range(9)])

    sent = cut(around, [])

    assert len(events(sent)) == 3


def test_what_was_acknowledged_is_told_again_only_for_the_newest(around):
    cut(around, [pair(number) for number in range(9)])

    sent = cut(replace(around, committed=lambda _: 9), [])

    assert events(sent) == ["p000-000000000006"]


def alarms() -> float:
    return REGISTRY.get_sample_value("entityflow_shard_conflicts_total") or 0.0


def test_of_two_sharders_with_one_partition_one_writes_the_manifest(around):
    log = [received(pair(number), number) for number in range(4)]
    (first, _), (second, _) = started(around), started(around)

    before = alarms()
    ours, theirs = first.step(log), second.step(log)

    assert alarms() == before
    assert ranges(around) == [(0, 2, 3)]
    assert [send.record for send in ours.sends] == [send.record for send in theirs.sends]
    assert ours.finished == theirs.finished == 3


def test_a_manifest_that_differs_is_adopted_with_what_it_holds(around):
    longer = replace(around, limits=Limits(samples=4, bytes=1 << 30))
    log = [received(pair(number), number) for number in range(4)]
    (handler, _), (other, _) = started(around), started(longer)
    other.step(log)

    before = alarms()
    handler.step(log[:3])
    assert alarms() == before + 1
    handler.step([received(pair(3), 4), received(asked(), 5)])

    assert ranges(around) == [(0, 3, 4), (4, 5, 0)]


def test_a_manifest_of_a_topic_that_was_made_anew_stops_the_sharder(around):
    cut(around, [pair(number) for number in range(3)])

    with pytest.raises(LossDetected, match="another topic"):
        started(around, uuid="made anew")


class Away(MemoryObjects):
    away = True

    def put_if_absent(self, key: str, data: bytes | Path) -> bool:
        if self.away:
            raise Retryable("object-store-away")
        return super().put_if_absent(key, data)


@pytest.mark.parametrize("spool", [0, 7000, 12_000])
def test_shards_without_room_on_the_disk_are_read_again_and_are_the_same(tmp_path, spool):
    log = [pair(0), pair(1), asked(1), pair(0), *(pair(number) for number in range(2, 9)), asked(), pair(9), asked()]
    roomy, narrow = (surroundings(tmp_path / name) for name in ("roomy", "narrow"))
    again: list[tuple[int, int]] = []

    def read_again(_partition: int, first: int, last: int) -> Iterator[Received[Record]]:
        again.append((first, last))
        return (received(log[at], at) for at in range(first, last + 1))

    cut(roomy, log)
    cut(replace(narrow, room=Room(spool), read_again=read_again), log, runs=2)

    assert narrow.objects.content == roomy.objects.content
    assert again
    assert len(again) == len(ranges(narrow)) if not spool else len(again) < len(ranges(narrow))


def test_room_is_given_back_with_each_shard(around):
    room = Room(7000)
    around = replace(around, limits=Limits(samples=1, bytes=1 << 30), room=room)

    cut(around, [pair(number) for number in range(9)])

    assert len(ranges(around)) == 9
    assert room.take(7000)


@pytest.fixture
def largest_file() -> Iterator[Callable[[int], None]]:
    """Sets the size beyond which no file grows, like a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


# in the middle of a sample, at the end of the tar, in the table
@pytest.mark.parametrize("size", [0, 1000, 3000, 7200, 10_000])
def test_a_full_disk_stops_the_partition_until_there_is_room_and_nothing_is_lost(around, tmp_path, largest_file, size):
    log = [pair(number, heldout=number == 1) for number in range(4)]
    batch = [received(record, at) for at, record in enumerate(log)]
    handler, _ = started(around)
    largest_file(size)
    for _ in range(2):
        with pytest.raises(Retryable, match=r"disk-full: .*: File too large"):
            handler.step(batch)
    published_without_room = list(around.objects.content)

    largest_file(resource.RLIM_INFINITY)
    result = handler.step(batch)

    calm = surroundings(tmp_path / "calm")
    cut(calm, log)
    assert published_without_room == []
    assert around.objects.content == calm.objects.content
    assert result.finished == 3


def test_a_start_without_room_for_what_it_must_know_is_one_line(around, largest_file):
    cut(around, [pair(number) for number in range(3)])
    largest_file(10)

    with pytest.raises(UserError, match=f"no room on the disk of {around.folder}"):
        started(around)


def test_a_batch_that_comes_again_after_an_outage_is_taken_once(around):
    objects = Away()
    handler, _ = started(replace(around, objects=objects))
    batch = [received(pair(number), number) for number in range(5)]
    with pytest.raises(Retryable):
        handler.step(batch)

    objects.away = False
    result = handler.step(batch)

    assert events([send.record for send in result.sends]) == ["p000-000000000000"]
    assert result.finished == 3


@pytest.fixture
def aging(around: Surroundings) -> tuple[Cutting, dict[str, float]]:
    now = {"seconds": 0.0}
    handler, _ = started(replace(around, clock=lambda: now["seconds"]))
    return handler, now


def sealed(handler: Cutting) -> list[Record]:
    return [send.record for send in handler.tick().sends]


def test_an_open_range_is_sealed_once_when_its_first_record_is_old(aging):
    handler, now = aging
    handler.step([received(pair(0), 0, timestamp_ms=1000)])
    handler.step([received(pair(1), 1, timestamp_ms=50_000)])
    now["seconds"] = 60.0
    young = sealed(handler) + sealed(handler)

    now["seconds"] = 61.0

    assert young == []
    assert sealed(handler) == [Seal(partition=0, start=0, cause="age")]
    assert sealed(handler) == []


def test_a_steady_trickle_of_records_does_not_keep_a_range_open(aging):
    handler, now = aging
    handler.step([received(pair(0), 0, timestamp_ms=1000)])
    now["seconds"] = 61.0

    step = handler.step([received(pair(1), 1, timestamp_ms=60_900)])

    assert [send.record for send in step.sends] == [Seal(partition=0, start=0, cause="age")]


def test_a_backlog_is_read_before_it_is_sealed(aging):
    handler, now = aging
    now["seconds"] = 10_000.0

    step = handler.step([received(pair(0), 0, timestamp_ms=0)])
    between = sealed(handler)

    assert (list(step.sends), between) == ([], [])
    assert sealed(handler) == [Seal(partition=0, start=0, cause="age")]


def test_a_partition_with_nothing_open_is_not_sealed(aging):
    handler, now = aging
    handler.step([received(pair(0), 0), received(asked(), 1)])
    now["seconds"] = 10_000.0

    assert sealed(handler) == []
    assert sealed(handler) == []


def test_a_range_of_nothing_but_dead_letters_is_sealed_too_when_it_is_old(around):
    now, ends = {"seconds": 0.0}, {0: 3}
    handler, _ = started(replace(around, clock=lambda: now["seconds"], log_end=ends.__getitem__))
    handler.step([received(pair(number), number) for number in range(3)])
    said = [sealed(handler)]
    for seconds, end in ((1, 3), (62, 5), (100, 5), (123, 5), (200, 6)):
        now["seconds"], ends[0] = seconds, end
        said.append([record for record in sealed(handler) if isinstance(record, Seal)])

    assert said[1:] == [[], [], [], [Seal(partition=0, start=3, cause="age")], []]


def test_every_picture_is_known_also_beyond_the_first_thousands():
    known = KnownPictures()
    ids = [f"{number:064x}"[::-1] for number in range(MERGED_AT + 10)]

    known.update(ids)
    known.update(["ab" * 32])

    assert all(one in known for one in [*ids[::997], ids[-1], "ab" * 32])
    assert "cd" * 32 not in known


def test_files_of_a_killed_sharder_are_removed_and_those_of_a_living_one_stay(tmp_path):
    (tmp_path / "4194999-abc").mkdir()
    (tmp_path / "1-living").mkdir()

    remove_left_behind(tmp_path)
    own = new_folder(tmp_path)

    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "1-living", own])
