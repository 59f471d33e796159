"""Bodies: packed unasked, wrongly declared, cut; and the bound on what is held at once."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from entityflow.http import FetchFailed
from services.fetcher.bodies import ByteBudget, check_head, unpacked

PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(PICTURE), "gzip"),
        (gzip.compress(PICTURE), "x-gzip"),
        (zlib.compress(PICTURE), "deflate"),
        (PICTURE, "gzip"),
        (PICTURE, "br"),
        (PICTURE, ""),
    ],
)
def test_a_body_is_unpacked_where_it_really_is_packed(body: bytes, encoding: str) -> None:
    check_head(body[:512], encoding)
    assert unpacked(body, encoding, 1 << 20) == PICTURE


def test_a_packed_bomb_ends_at_the_limit() -> None:
    with pytest.raises(FetchFailed, match="too-many-bytes"):
        unpacked(gzip.compress(bytes(10_000_000)), "gzip", 1 << 20)


def test_a_cut_packed_body_may_come_whole_another_time() -> None:
    with pytest.raises(FetchFailed) as cut:
        unpacked(gzip.compress(PICTURE)[:-20], "gzip", 1 << 20)

    assert (cut.value.reason, cut.value.transient) == ("incomplete-body", True)


def test_a_packed_body_that_is_garbage_is_refused() -> None:
    with pytest.raises(FetchFailed, match="bad-encoding"):
        unpacked(b"\x1f\x8b\x08\x00garbage" * 9, "gzip", 1 << 20)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"<!doctype html>", "not-an-image"),
        (b"--frame\r\nContent-Type: image/jpeg", "not-an-image"),
        (gzip.compress(PICTURE), "not-an-image"),
        (b"II*\0", "unsupported-format"),
    ],
)
def test_what_cannot_be_a_picture_is_known_by_its_first_bytes(head: bytes, reason: str) -> None:
    with pytest.raises(FetchFailed) as refused:
        check_head(head, "")

    assert refused.value.reason == reason


async def test_the_budget_makes_the_next_body_wait_for_room() -> None:
    budget = ByteBudget(100)
    order: list[str] = []

    async def second() -> None:
        async with budget.lease() as lease:
            await lease.reserve(60)
            order.append("second")

    async with budget.lease() as lease:
        await lease.reserve(60)
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)
        order.append("first")
    await waiting

    assert order == ["first", "second"]


async def test_a_body_larger_than_the_budget_takes_all_of_it() -> None:
    budget = ByteBudget(100)

    async with budget.lease() as lease:
        await lease.reserve(1000)
        assert lease.held == 100
