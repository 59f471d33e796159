"""What a picture's title names, and how packages with pictures are had."""

import errno
import os
from importlib.resources import files
from pathlib import Path

import pytest

from entityflow.embedded.corpus import taxon_of, taxon_words
from entityflow.embedded.making import making
from entityflow.embedded.packages import EMOJI, FLUENT, STAMPS, Package, unpacked
from entityflow.errors import UserError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a machine on which nothing is installed but what a test puts into `bin`."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("ENTITYFLOW_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "cache"


def install(cache: Path, name: str, script: str) -> None:
    program = cache.parent / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("title", "taxon"),
    [
        ("A lion.", "Panthera leo"),
        ("A California sea lion", "Zalophus californianus"),  # not the lion in it
        ("LION face", "Panthera leo"),
        ("An alien tree!", None),
        ("A lion and a tiger", None),  # which of them is it?
        ("", None),
    ],
)
def test_a_title_names_one_living_thing_or_none(title: str, taxon: str | None) -> None:
    assert taxon_of(title) == taxon


def test_a_dish_is_not_a_plant() -> None:
    assert taxon_of("A wedge of cheese") is None


def test_each_word_of_the_table_means_one_thing() -> None:
    lines = files("entityflow.embedded").joinpath("taxon_words.tsv").read_text().splitlines()
    words = [line.split("\t")[0] for line in lines if line and not line.startswith("#")]

    assert sorted(set(words)) == sorted(words)
    assert all(word == word.lower() and len(word.split()) <= 3 for word in words)
    assert len(taxon_words()) == len(words)


@pytest.mark.parametrize("package", [FLUENT, STAMPS], ids=lambda package: package.registry)
def test_without_its_client_an_optional_package_is_left_out_with_one_line(cache: Path, package: Package) -> None:
    said: list[str] = []

    found = [unpacked(package, said.append), unpacked(package, said.append)]

    assert found == [None, None]
    assert len(said) == 1
    assert package.name in said[0]


def test_a_client_that_says_no_leaves_nothing_behind(cache: Path) -> None:
    install(cache, "npm", "echo 'E404 no such package' >&2; exit 1")
    said: list[str] = []

    found = unpacked(FLUENT, said.append)

    assert found is None
    assert "E404 no such package" in said[0]
    assert os.listdir(cache / "packages") == []


def test_a_file_that_is_not_the_pinned_one_is_refused_and_not_kept(cache: Path) -> None:
    install(cache, "npm", "echo something else > package.tgz")
    wanted = Package("npm", FLUENT.name, FLUENT.version, FLUENT.sha256)

    with pytest.raises(UserError, match=r"package\.tgz is not the pinned file"):
        unpacked(wanted, lambda line: None)

    assert os.listdir(cache / "packages") == []


def test_what_is_in_the_cache_is_not_fetched_again(cache: Path) -> None:
    folder = cache / "packages" / EMOJI.folder_name
    folder.mkdir(parents=True)

    assert unpacked(EMOJI, lambda line: None) == folder


def fill(folder: Path, error: OSError | None = None) -> None:
    with making(folder) as scratch:
        (scratch / "file").write_text("done")
        if error:
            raise error


def test_a_folder_of_the_cache_is_whole_or_not_there(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UserError, match="No space left on device"):
        fill(tmp_path / "corpus", full)
    after_the_error = os.listdir(tmp_path)
    fill(tmp_path / "corpus")

    assert after_the_error == []
    assert os.listdir(tmp_path / "corpus") == ["file"]
