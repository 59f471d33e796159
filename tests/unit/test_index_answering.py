from entityflow.records import Fingerprint, Hashes, Origin
from entityflow.stage import Message, Received
from services.index.answering import FingerprintHandler
from services.index.state import DiskState
from services.index.verdicts import Cuts

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


def handler(folder, committed=0, answers=()):
    return FingerprintHandler(
        lambda: DiskState(folder, "uuid", 1 << 20), lambda: committed, lambda: answers, 256, Cuts(0.2)
    )


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

    back = handler(tmp_path / "stale", committed=2, answers=answers)
    back.start()

    assert matches(back.step([received(2, 2, None)]))[0].canonical_id == LOG[0].record.image_id
    back.close()
