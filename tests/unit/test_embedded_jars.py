"""What a broken download or a folder of somebody else's leads to: one line, and nothing in the way of the next try."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from entityflow.embedded.cache import cache_dir, writable
from entityflow.embedded.jars import Jar, ensure_jars, locked_jars
from entityflow.errors import UserError

GOOD = b"the bytes of a jar"


class Maven:
    """Stands where jgo does; `answers` are the bytes by artifact, an exception is raised."""

    def __init__(self, answers: dict[str, bytes | Exception]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, jar: Jar, scratch: Path) -> Path:
        self.asked.append(jar.artifact)
        answer = self.answers[jar.artifact]
        if isinstance(answer, Exception):
            raise answer
        path = scratch / jar.name
        path.write_bytes(answer)
        return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENTITYFLOW_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def lock() -> list[Jar]:
    digest = hashlib.sha256(GOOD).hexdigest()
    return [Jar("org.example", artifact, "1.0", digest, len(GOOD)) for artifact in ("one", "two")]


@pytest.fixture
def lines() -> list[str]:
    return []


def test_what_is_there_is_not_fetched_again(cache: Path, lock: list[Jar], lines: list[str]) -> None:
    maven = Maven({"one": GOOD, "two": GOOD})

    ensure_jars(lines.append, lock, maven)
    ensure_jars(lines.append, lock, maven)

    assert sorted(maven.asked) == ["one", "two"]


def test_a_jar_that_changed_on_disk_is_fetched_again(cache: Path, lock: list[Jar], lines: list[str]) -> None:
    maven = Maven({"one": GOOD, "two": GOOD})
    folder = ensure_jars(lines.append, lock, maven)

    (folder / "two-1.0.jar").write_bytes(GOOD[::-1])
    ensure_jars(lines.append, lock, maven)

    assert sorted(maven.asked) == ["one", "two", "two"]
    assert (folder / "two-1.0.jar").read_bytes() == GOOD


def test_a_cut_download_is_one_line_and_the_next_run_fetches_only_it(
    cache: Path, lock: list[Jar], lines: list[str]
) -> None:
    with pytest.raises(UserError, match=r"two-1\.0\.jar from Maven is not the file of the lock") as caught:
        ensure_jars(lines.append, lock, Maven({"one": GOOD, "two": GOOD[:5]}))
    assert "run the same command again" in str(caught.value.hint)
    assert not (cache / "kafka-jars" / "two-1.0.jar").exists()

    again = Maven({"one": GOOD, "two": GOOD})
    folder = ensure_jars(lines.append, lock, again)

    assert "two" in again.asked
    assert (folder / "two-1.0.jar").read_bytes() == GOOD


def test_no_network_is_one_line_that_names_the_jar(cache: Path, lock: list[Jar], lines: list[str]) -> None:
    broken = OSError("Name or service not known\nfor the host")

    with pytest.raises(UserError, match="could not be fetched from Maven: Name or service not known") as caught:
        ensure_jars(lines.append, lock, Maven({"one": broken, "two": broken}))

    assert "\n" not in str(caught.value)
    assert "network" in str(caught.value.hint)


def test_the_lock_names_kafka_once_and_a_digest_for_every_jar() -> None:
    jars_of_lock = locked_jars()

    assert [jar.version for jar in jars_of_lock if jar.artifact == "kafka_2.13"] == ["4.3.1"]
    assert len({jar.name for jar in jars_of_lock}) == len(jars_of_lock)
    assert all(len(jar.sha256) == 64 and jar.bytes > 0 for jar in jars_of_lock)


def test_a_cache_folder_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ENTITYFLOW_CACHE_DIR", str(tmp_path / "file" / "cache"))

    with pytest.raises(UserError, match=r"cannot write in .*file/cache: Not a directory") as caught:
        cache_dir()

    assert caught.value.hint


def test_a_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    writable(tmp_path / "a" / "b")

    assert list((tmp_path / "a" / "b").iterdir()) == []
