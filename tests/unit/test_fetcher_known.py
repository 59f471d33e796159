"""What is remembered of addresses, in a dict and in RocksDB alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from entityflow.records import Address, Permission
from services.fetcher.address_store import address_store
from services.fetcher.known import KnownAddresses, Store

NOW = 1000.0
GONE = Address(url_id="u", reason="not-found", expires=NOW + 1)
PICTURE = Address(url_id="u", image_id="i" * 64, permission=Permission(decision="allowed", evidence=("none",)))


@pytest.fixture(params=["dict", "rocksdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "dict":
        yield {}
    else:
        with address_store(tmp_path) as opened:
            yield opened


def test_an_entry_is_found_as_it_was_learned(store: Store) -> None:
    known = KnownAddresses(store, lambda: NOW)

    known.learn("u", PICTURE, 5)

    assert known.find("u") == PICTURE
    assert known.find("v") is None


def test_a_deleted_entry_is_gone(store: Store) -> None:
    known = KnownAddresses(store, lambda: NOW)
    known.learn("u", PICTURE, 5)

    known.learn("u", None, 5)
    known.learn("never seen", None, 5)

    assert known.find("u") is None


def test_an_entry_expires(store: Store) -> None:
    now = NOW
    known = KnownAddresses(store, lambda: now)
    known.learn("u", GONE, 5)
    assert known.find("u") == GONE

    now = NOW + 1

    assert known.find("u") is None


def test_what_was_known_of_a_partition_ends_when_it_is_read_anew(store: Store) -> None:
    known = KnownAddresses(store, lambda: NOW)
    known.learn("u", PICTURE, 5)
    known.learn("w", PICTURE, 6)

    known.read_anew([5])

    assert known.find("u") is None
    assert known.find("w") == PICTURE
    known.learn("u", GONE, 5)
    assert known.find("u") == GONE


def test_two_processes_do_not_share_a_folder_and_a_left_one_is_taken_empty(tmp_path: Path) -> None:
    with address_store(tmp_path) as first, address_store(tmp_path) as second:
        first[b"u"] = b"1"
        assert second.get(b"u") is None

    left = tmp_path / "fetcher-addresses-0"
    left.mkdir()
    (left / "CURRENT").write_text("torn")
    with address_store(tmp_path) as third:
        assert third.get(b"u") is None
    assert not left.exists()
