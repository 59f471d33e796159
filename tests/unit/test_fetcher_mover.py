"""The mover: not before its time, with attempts and key as they were, and no hindrance to a stop."""

from __future__ import annotations

import asyncio

import pytest

from entityflow.records import Url
from entityflow.stage import Message, Received, Send
from services.fetcher.mover import Mover

URL = Url(candidate_id="c", url_id="u", address="http://pics.example/a.jpg", provider="demo")


def received(written_at: float, key: bytes | None = b"pics.example") -> Received[Url]:
    headers = {"attempt": b"2", "waited": b"70"}
    return Received(URL, Message("url-retry-short", 0, 5, key, b"", headers, int(written_at * 1000), "uuid"))


async def test_a_due_candidate_goes_back_with_its_attempts_and_key() -> None:
    mover = Mover(clock=lambda: 1000.0, stopping=lambda: False)

    sends = await mover.after(10)(received(990.0))

    assert sends == [Send("url", URL, key="pics.example", attempt=2, waited=70.0)]


async def test_without_a_key_the_address_gives_it() -> None:
    mover = Mover(clock=lambda: 1000.0, stopping=lambda: False)

    (send,) = await mover.after(10)(received(0.0, key=None))

    assert send.key == "pics.example"


async def test_a_stop_leaves_what_is_not_due_where_it_is() -> None:
    mover = Mover(clock=lambda: 1000.0, stopping=lambda: True)
    waiting = asyncio.create_task(mover.after(3600)(received(1000.0)))  # type: ignore[arg-type]
    await asyncio.sleep(0)

    await mover.look()

    with pytest.raises(asyncio.CancelledError):
        await waiting
