"""Tars of other makers, as they are found in the wild."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from entityflow.errors import UserError
from entityflow.foreign_tars import find_tars, read_foreign
from entityflow.shard_checks import Damage
from tests.filtered_pairs import picture

PICTURE = picture(1)


def tar_of(path: Path, *members: tuple[str, bytes], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def sample(key: str, text: str = "a red bird") -> list[tuple[str, bytes]]:
    return [(f"{key}.jpg", PICTURE), (f"{key}.txt", text.encode())]


def test_samples_are_read_in_their_order_with_extensions_without_case(tmp_path):
    tar = tar_of(
        tmp_path / "a.tar", *sample("./b/2"), ("1.JPG", PICTURE), ("1.Json", json.dumps({"caption": "x"}).encode())
    )

    assert read_foreign(tar).samples == ["b/2", "1"]


def test_a_name_that_webdataset_splits_elsewhere_is_counted_and_not_guessed(tmp_path):
    tar = tar_of(tmp_path / "a.tar", *sample("0001"), ("./Song 3.5 (Live).jpg", PICTURE), ("no-extension", b"x"))

    found = read_foreign(tar)

    assert found.samples == ["0001"]
    assert +found.left_out == {"names not understood": 1, "litter": 1}


@pytest.mark.parametrize(
    "members",
    [
        [*sample("a"), ("a.jpg", PICTURE)],
        [*sample("a"), *sample("b"), ("a.json", b"{}")],
        [("a.jpg", PICTURE), ("a.JPG", PICTURE), ("a.txt", b"x")],
    ],
    ids=["twice", "scattered", "twice in another case"],
)
def test_a_tar_with_doubled_or_scattered_members_is_refused_with_the_name(tmp_path, members):
    with pytest.raises(Damage, match=r"member a\.\w+ comes twice or away from its sample"):
        read_foreign(tar_of(tmp_path / "a.tar", *members))


def test_litter_of_a_mac_and_long_names_do_no_harm(tmp_path):
    key = "folder/" + "n" * 150
    tar = tar_of(tmp_path / "a.tar", ("._k.jpg", b"mac"), *sample("k"), *sample(key), form=tarfile.PAX_FORMAT)

    found = read_foreign(tar)

    assert found.samples == ["k", key]
    assert +found.left_out == {"litter": 1}


def test_samples_without_a_picture_or_a_text_are_counted_once(tmp_path):
    lonely = [
        ("2.jpg", PICTURE),
        ("3.txt", b"text"),
        ("4.jpg", PICTURE),
        ("4.txt", b" \n"),
        ("5.jpg", PICTURE),
        ("5.json", b"{"),
    ]

    found = read_foreign(tar_of(tmp_path / "a.tar", *sample("1"), *lonely))

    assert found.samples == ["1"]
    assert +found.left_out == {"incomplete samples": 4}


def test_a_tar_that_is_cut_or_empty_is_named(tmp_path):
    whole = tar_of(tmp_path / "whole.tar", *sample("a"), *sample("b")).read_bytes()
    for size in (0, 100, 1000, 512 * 3 + 30):
        (tmp_path / "cut.tar").write_bytes(whole[:size])
        with pytest.raises(Damage, match=r"no readable tar|no sample|no picture"):
            read_foreign(tmp_path / "cut.tar")
    with pytest.raises(Damage, match="no sample"):
        read_foreign(tar_of(tmp_path / "nothing.tar"))


def test_a_picture_that_does_not_decode_is_named(tmp_path):
    with pytest.raises(Damage, match=r"a\.jpg is no picture"):
        read_foreign(tar_of(tmp_path / "a.tar", ("a.jpg", PICTURE[:80]), ("a.txt", b"x")))


def test_tars_are_found_below_folders_and_a_wrong_path_is_one_line(tmp_path):
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)
    tar = tar_of(inside / "a.tar", *sample("a"))

    assert find_tars([tmp_path, tar]) == [tar]
    with pytest.raises(UserError, match="there is no such file"):
        find_tars([tmp_path / "missing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no tar below"):
        find_tars([tmp_path / "empty"])
