from entityflow.errors import Retryable
from entityflow.records import Fingerprint, Hashes, Origin
from entityflow.stage import Message, Received
from services.index.answering import FingerprintHandler, Log
from services.index.snapshots import Snapshots
from services.index.state import DiskState
from services.index.verdicts import Cuts
from tests.memory_objects import MemoryObjects

LOOK = Hashes(phash="c3d1e0f0a5b49687", dhash="1f3e7c78f0e1c387", version=1, detail="80" + "7" * 96)
NEAR = Hashes(phash="c3d1e0f0a5b49686", dhash="0000000000000001", version=1)


def received(offset, number, look, passed=True):
    record = Fingerprint(
        image_id=f"{number:064x}",
        origin=Origin(topic_uuid="images", partition=0, offset=number),
        passed=passed,
        hashes=look,
    )
    return Received(record, Message("fingerprint", 0, offset, None, b"", {}, 0, "uuid"))


LOG = [received(0, 1, LOOK), received(1, 2, NEAR), received(2, 1, None), received(3, 9, None)]


def handler(folder, committed=0, answers=(), earliest=0, objects=None, every_seconds=0.0):
    def no_bucket():
        raise Retryable("object-store-away")

    bucket = (lambda: objects) if objects is not None else no_bucket
    log = Log(committed=lambda: committed, earliest=lambda: earliest, answers=lambda: answers)
    snapshots = Snapshots(bucket, "uuid", folder, every_seconds)
    made = FingerprintHandler(lambda: DiskState(folder, "uuid", 1 << 20), log, snapshots, 256, Cuts(0.2))
    made.snapshots = snapshots
    return made


def matches(batch):
    return [send.record for send in batch.sends]


def test_each_fingerprint_gets_its_answer_with_the_origin_of_the_first_registration(tmp_path):
    index = handler(tmp_path)
    index.start()

    first, copy, sighting, unknown = matches(index.step(LOG))

    assert first.canonical_id == first.image_id == sighting.canonical_id
    assert sighting.origin == first.origin == LOG[0].record.origin
    assert copy.canonical_id == first.image_id
    assert copy.distance == 1
    assert unknown.canonical_id is None
    assert unknown.origin == LOG[3].record.origin
    index.close()


def test_a_restart_answers_again_what_was_not_committed(tmp_path):
    index = handler(tmp_path)
    index.start()
    first = matches(index.step(LOG))
    index.close()

    restarted = handler(tmp_path, committed=0)

    assert restarted.start() is None
    assert matches(restarted.step(LOG)) == first
    restarted.close()


def test_a_lost_folder_is_rebuilt_from_the_answers(tmp_path):
    index = handler(tmp_path / "first")
    index.start()
    first = matches(index.step(LOG))
    index.close()
    newest = {match.image_id: match for match in first}

    rebuilt = handler(tmp_path / "second", committed=4, answers=newest.values())
    rebuilt.start()

    assert matches(rebuilt.step(LOG)) == first
    rebuilt.close()


def test_a_folder_that_is_behind_the_group_takes_up_what_it_missed(tmp_path):
    index = handler(tmp_path / "other-machine")
    index.start()
    answers = matches(index.step(LOG[:2]))
    index.close()
    stale = handler(tmp_path / "stale")
    stale.start()
    stale.step(LOG[:1])
    stale.close()

    back = handler(tmp_path / "stale", committed=2, answers=answers, earliest=2)

    assert back.start() is None

    assert matches(back.step([received(2, 2, None)]))[0].canonical_id == LOG[0].record.image_id
    back.close()


def test_a_folder_that_is_behind_reads_the_log_again_where_the_log_reaches_back(tmp_path):
    behind = handler(tmp_path)
    behind.start()
    first = matches(behind.step(LOG[:1]))
    behind.close()

    back = handler(tmp_path, committed=4, earliest=1)

    assert back.start() == 1
    assert matches(back.step(LOG[1:]))[1] == first[0]
    back.close()


def test_a_new_machine_begins_with_the_newest_snapshot(tmp_path):
    objects = MemoryObjects()
    old = handler(tmp_path / "old", objects=objects, every_seconds=1e-9)
    old.start()
    answered = []
    for place, one in enumerate(LOG):
        answered += matches(old.step([one]))
        old.tick()
        old.snapshots.wait()
        assert f"index/uuid/{place + 1:012d}.tar" in objects.content
    old.close()

    new = handler(tmp_path / "new", committed=4, earliest=4, objects=objects)

    assert new.start() is None
    assert matches(new.step(LOG)) == answered
    assert sorted(objects.content) == ["index/uuid/000000000003.tar", "index/uuid/000000000004.tar"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    new.close()


def test_an_older_snapshot_reads_on_from_where_it_was_taken(tmp_path):
    objects = MemoryObjects()
    old = handler(tmp_path / "old", objects=objects, every_seconds=1e-9)
    old.start()
    first = matches(old.step(LOG[:2]))
    old.tick()
    old.snapshots.wait()
    rest = matches(old.step(LOG[2:]))
    old.close()

    new = handler(tmp_path / "new", committed=4, earliest=1, objects=objects)

    assert new.start() == 2
    assert matches(new.step(LOG[2:])) == rest
    assert matches(new.step(LOG[:2])) == first
    new.close()


def test_without_the_bucket_or_with_a_broken_snapshot_the_answers_are_read(tmp_path):
    index = handler(tmp_path / "first")
    index.start()
    first = matches(index.step(LOG))
    index.close()
    broken = MemoryObjects()
    broken.put("index/uuid/000000000004.tar", b"no tar")

    for number, objects in enumerate((None, broken)):
        rebuilt = handler(tmp_path / str(number), committed=4, answers=first, objects=objects)
        assert rebuilt.start() is None
        assert matches(rebuilt.step(LOG)) == first
        rebuilt.close()
