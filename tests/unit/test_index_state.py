from dataclasses import replace

import pytest

from entityflow.errors import UserError
from entityflow.records import Benchmark, Hashes, Origin
from services.index.guarded import Guarded
from services.index.state import FORMAT, DiskState
from services.index.verdicts import Change, Entry, Registered

CACHE_BYTES = 1 << 20


def registered(number, canonical=None, **more):
    look = {"phash": f"{number:016x}", "dhash": f"{number * 3:016x}", "version": 1, **more}
    return Registered(
        image_id=f"{number:064x}",
        seq=number,
        canonical_id=f"{number if canonical is None else canonical:064x}",
        distance=None if canonical is None else 2,
        hashes=Hashes(**look),
        origin=Origin(topic_uuid="AAAAAAAAQACAAAAAAAAAAA", partition=3, offset=2**40),
    )


def test_what_was_written_is_there_when_the_folder_is_opened_again(tmp_path):
    one, copy = registered(1, detail="80" + "7" * 96), registered(2, canonical=1, low_detail=True)
    row = [Entry(1, 2**64 - 1), Entry(7, 0)]
    state = DiskState(tmp_path / "index", "uuid", CACHE_BYTES)

    state.write(Change(registered=[one, copy], rows={b"p1.0abcd": row}, hot_rows=0), applied=3)
    state.close()
    again = DiskState(tmp_path / "index", "uuid", CACHE_BYTES)

    assert again.applied == 3
    assert again.images([one.image_id, copy.image_id, "f" * 64]) == {one.image_id: one, copy.image_id: copy}
    assert again.canonicals([1, 2, 9]) == {1: one}
    assert again.rows([b"p1.0abcd", b"other"]) == {b"p1.0abcd": row}
    again.close()


def test_the_state_of_another_topic_is_refused_by_name(tmp_path):
    DiskState(tmp_path, "old-uuid", CACHE_BYTES).close()

    with pytest.raises(UserError, match="old-uuid") as refused:
        DiskState(tmp_path, "new-uuid", CACHE_BYTES)

    assert "prefix" in refused.value.hint


def test_a_folder_that_another_process_holds_is_one_clear_line(tmp_path):
    holder = DiskState(tmp_path, "uuid", CACHE_BYTES)

    with pytest.raises(UserError, match=str(tmp_path)) as refused:
        DiskState(tmp_path, "uuid", CACHE_BYTES)

    assert "one index process" in refused.value.hint
    holder.close()


def test_a_new_state_has_applied_nothing(tmp_path):
    state = DiskState(tmp_path, "uuid", CACHE_BYTES)

    assert state.applied is None
    assert state.images([]) == {}
    state.close()


def test_guarded_pictures_and_a_pair_s_nearest_benchmark_are_there_again(tmp_path):
    look = Hashes(phash="0" * 16, dhash="f" * 16, version=1, detail="80" + "7" * 96)
    guarded = [Guarded(seq=n, name="büsche", version=n, hashes=look) for n in (3, 300)]
    nearest = Benchmark(index_version=2, name="cub-200", distance=12)
    pair = replace(registered(1, detail="80" + "7" * 96), benchmark=nearest)
    state = DiskState(tmp_path, "uuid", CACHE_BYTES)

    state.write(Change(registered=[pair], rows={b"p1.0abcd": []}, hot_rows=0, guarded=guarded), applied=9)
    state.close()
    again = DiskState(tmp_path, "uuid", CACHE_BYTES)

    assert list(again.guarded()) == guarded
    assert again.images([pair.image_id]) == {pair.image_id: pair}
    again.close()


def test_a_state_of_another_format_is_made_anew(tmp_path):
    old = DiskState(tmp_path, "uuid", CACHE_BYTES)
    old.write(Change(registered=[registered(1)], rows={}, hot_rows=0), applied=9)
    old._db[FORMAT] = b"0"
    old.close()

    made_anew = DiskState(tmp_path, "uuid", CACHE_BYTES)

    assert made_anew.applied is None
    assert made_anew.images([registered(1).image_id]) == {}
    made_anew.close()
