"""Reading shards: ours, img2dataset's, and broken ones."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from entityflow.errors import UsageError, UserError
from services.trainer.admission import admit
from services.trainer.command import local
from services.trainer.knowledge import NOTHING, EntityTexts, Knowledge
from services.trainer.ledger import Ledger, ShardRef
from services.trainer.reasons import BadShard
from services.trainer.samples import ShardFile
from services.trainer.shard_cache import ShardCache, file_sha256
from services.trainer.shard_log import FolderLog, find_tars
from services.trainer.shard_room import FilesInPlace, ShardRoom
from services.trainer.store import Folder
from tests.trainer_shards import COLOURS, jpeg, sample, shard, write_tar

REF = ShardRef(shard_id="p000-000000000000", version=1, tar="t", sha256="0")
PICTURE = jpeg(COLOURS["red"])


def keys(path: Path) -> list[str]:
    return [sample.key for sample in ShardFile(path).samples]


def test_texts_entities_and_picture_of_our_own_shards_are_read(tmp_path: Path) -> None:
    file = ShardFile(shard(tmp_path / "a.tar", 3))

    first = file.samples[0]

    assert [sample.key for sample in file.samples] == ["s0000", "s0001", "s0002"]
    assert (first.texts, first.entities) == (["a red thing"], ["Q-red"])
    assert file.picture(first) == jpeg(COLOURS["red"], 0)


def test_img2datasets_caption_counts_once(tmp_path: Path) -> None:
    record = json.dumps({"caption": "a boat", "url": "http://a.test/1.jpg", "key": "000000001", "status": "success"})
    members = [("000000001.jpg", PICTURE), ("000000001.json", record.encode()), ("000000001.txt", b"a boat")]

    file = ShardFile(write_tar(tmp_path / "a.tar", members))

    assert file.samples[0].texts == ["a boat"]


def test_a_dot_inside_a_file_name_ends_its_key_and_the_sample_is_counted_as_not_understood(tmp_path: Path) -> None:
    members = [
        ("./Take 3.1 (live).jpg", PICTURE),
        ("./Take 3.1 (live).txt", b"x"),
        ("./7.JPG", PICTURE),
        ("./7.txt", b"y"),
    ]

    file = ShardFile(write_tar(tmp_path / "a.tar", members))

    assert [sample.key for sample in file.samples] == ["7"]
    assert file.left_out["not-understood"] == 1


def test_a_member_that_comes_twice_is_named_and_the_shard_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("k.jpg", PICTURE), ("k.txt", b"x"), ("k.jpg", PICTURE)])

    with pytest.raises(BadShard, match=r"a\.tar.*k\.jpg"):
        ShardFile(path)


def test_a_sample_whose_members_are_scattered_is_named_and_the_shard_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("k.jpg", PICTURE), ("l.jpg", PICTURE), ("k.txt", b"x")])

    with pytest.raises(BadShard, match=r"k\.txt"):
        ShardFile(path)


def test_a_desktops_litter_is_skipped_and_long_names_are_read(tmp_path: Path) -> None:
    name = "folder/" + "m" * 130
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in (
            ("._k.jpg", b"junk"),
            (".DS_Store", b"x"),
            (f"{name}.jpg", PICTURE),
            (f"{name}.txt", b"b"),
        ):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

    assert keys(path) == [name]


def test_incomplete_samples_are_left_out_and_counted_once(tmp_path: Path) -> None:
    alone = [("a.txt", b"x"), ("b.jpg", PICTURE), ("d.input.jpg", PICTURE), ("d.outputs.txt", b"x")]
    members = [*alone, *sample("c", "red", 0)]
    file = ShardFile(write_tar(tmp_path / "a.tar", members))

    admitted = admit(REF, file, NOTHING)

    assert admitted.entry.samples == 1
    assert admitted.entry.skipped == ("b",)
    assert dict(admitted.left_out) == {"no-picture": 1, "no-text": 1, "not-understood": 1}


def test_members_beside_a_whole_sample_take_nothing_from_it(tmp_path: Path) -> None:
    file = ShardFile(write_tar(tmp_path / "a.tar", [*sample("a", "red", 0), ("a.cls", b"3"), ("a.npy", b"x")]))

    assert len(file.samples) == 1
    assert not +file.left_out


def test_an_entity_that_is_known_stands_in_for_a_text(tmp_path: Path) -> None:
    members = [("a.jpg", PICTURE), ("a.json", json.dumps({"entities": [{"id": "Q1"}]}).encode())]
    file = ShardFile(write_tar(tmp_path / "a.tar", members))

    admitted = admit(REF, file, Knowledge("v", {"Q1": EntityTexts("lion", ("lion",))}))

    assert admitted.entry.samples == 1


def test_undecodable_pictures_are_skipped_and_counted(tmp_path: Path) -> None:
    members = [("a.jpg", PICTURE[: len(PICTURE) // 2]), ("a.txt", b"x"), ("b.jpg", b"no"), ("b.txt", b"x")]
    file = ShardFile(write_tar(tmp_path / "a.tar", [*members, *sample("c", "red", 0)]))

    admitted = admit(REF, file, NOTHING)

    assert admitted.entry.skipped == ("a", "b")
    assert admitted.left_out["undecodable-picture"] == 2


@pytest.mark.parametrize(
    "members", [[], [("a.jpg", PICTURE)], [("a.txt", b"x")], [("a.jpg", b"no picture"), ("a.txt", b"x")]]
)
def test_a_shard_without_one_sample_to_train_on_is_named(tmp_path: Path, members: list[tuple[str, bytes]]) -> None:
    file = ShardFile(write_tar(tmp_path / "bare.tar", members))

    with pytest.raises(BadShard, match=r"bare\.tar"):
        admit(REF, file, NOTHING)


@pytest.mark.parametrize("cut", [0, 100, 700, 1500])
def test_a_cut_tar_is_named(tmp_path: Path, cut: int) -> None:
    whole = shard(tmp_path / "whole.tar", 2).read_bytes()
    path = tmp_path / "cut.tar"
    path.write_bytes(whole[:cut])

    with pytest.raises(BadShard, match=r"cut\.tar"):
        ShardFile(path)


def test_bad_shards_stand_in_the_ledger_with_their_reason_and_the_others_train_on(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", 3)
    (tmp_path / "b.tar").write_bytes(b"")
    write_tar(tmp_path / "c.tar", [("x.jpg", PICTURE)])

    log = FolderLog(find_tars([tmp_path]))
    ledger, entities = ShardRoom(FilesInPlace()).admit_all(Ledger(), log.since(0).shards, NOTHING)

    assert entities == {"Q-red": 1, "Q-green": 1, "Q-blue": 1}
    lost = {Path(name).name: entry.lost for name, entry in ledger.entries.items()}
    assert lost == {"a.tar": None, "b.tar": "unreadable-shard", "c.tar": "no-samples"}
    assert [entry.samples for entry in ledger.usable()] == [3]


def test_a_fetched_shard_with_other_bytes_than_its_checksum_is_named_and_not_kept(tmp_path: Path) -> None:
    store = Folder(tmp_path / "store")
    store.put("shards/a.tar", b"other bytes")
    cache = ShardCache(store, tmp_path / "cache", 1 << 20)

    with pytest.raises(BadShard, match=r"p000-7.*shards/a\.tar") as caught:
        cache.fetch("p000-7", "shards/a.tar", "0" * 64)

    assert caught.value.word == "wrong-checksum"
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_keeps_its_limit_and_what_is_in_use(tmp_path: Path) -> None:
    store = Folder(tmp_path / "store")
    paths = []
    cache = ShardCache(store, tmp_path / "cache", 1500)
    for number in range(3):
        store.put(f"{number}.tar", bytes([number]) * 1000)
        paths.append(cache.fetch(str(number), f"{number}.tar", file_sha256(store.path(f"{number}.tar"))))

    cache.trim(in_use=[paths[0]])

    assert [path.exists() for path in paths] == [True, False, False]


def test_held_out_tars_are_found_beside_their_shards_and_not_trained_on(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", 3)
    shard(tmp_path / "a.heldout.tar", 2, first=3)

    references = FolderLog(find_tars([tmp_path])).since(0).shards

    assert [Path(ref.tar).name for ref in references] == ["a.tar"]
    assert references[0].heldout_tar == str(tmp_path / "a.heldout.tar")


@pytest.mark.parametrize("address", ["pipe:cat a.tar", "https://a.test/0.tar", "s3://bucket/0.tar"])
def test_an_address_instead_of_a_file_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="no file on this machine"):
        local(address)


def test_a_folder_without_shards_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path)):
        find_tars([tmp_path])
