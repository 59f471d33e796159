"""The child processes that decode: confined, replaced when they die, one picture lost at most."""

from __future__ import annotations

import io
import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from entityflow.pictures import BadPicture, PictureLimits, decode_and_store
from entityflow.sandbox import Sandbox

LIMITS = PictureLimits()


def picture(seed: int = 0) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (64, 48), random.Random(seed).randbytes(64 * 48 * 3)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(LIMITS, seconds=5) as running:
        yield running


def child_of(sandbox: Sandbox) -> int:
    process = sandbox._children[0]._process
    assert process is not None
    return process.pid


def test_a_child_answers_as_the_function_does(sandbox: Sandbox) -> None:
    assert sandbox.decode(picture()) == decode_and_store(picture(), LIMITS)
    with pytest.raises(BadPicture, match="not-an-image"):
        sandbox.decode(b"<html>")


def test_a_child_knows_nothing_of_our_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTITYFLOW_S3_SECRET_KEY", "hidden")

    sandbox.decode(picture())

    assert b"hidden" not in Path(f"/proc/{child_of(sandbox)}/environ").read_bytes()


def test_a_child_that_died_idle_costs_no_picture(sandbox: Sandbox) -> None:
    sandbox.decode(picture())
    os.kill(child_of(sandbox), signal.SIGKILL)
    os.waitid(os.P_PID, child_of(sandbox), os.WEXITED | os.WNOWAIT)

    assert sandbox.decode(picture()).width == 64


def test_a_child_that_does_not_answer_is_replaced_and_its_picture_gets_a_reason() -> None:
    with Sandbox(LIMITS, seconds=0.5) as sandbox:
        sandbox.decode(picture())
        os.kill(child_of(sandbox), signal.SIGSTOP)

        with pytest.raises(BadPicture, match="decoder-timeout"):
            sandbox.decode(picture())

        assert sandbox.decode(picture()).width == 64


def test_memory_is_bounded() -> None:
    large = io.BytesIO()
    Image.new("RGBA", (15_000, 15_000)).save(large, "PNG", compress_level=1)

    with Sandbox(PictureLimits(max_pixels=10**9), seconds=30) as sandbox, pytest.raises(BadPicture) as refused:
        sandbox.decode(large.getvalue())

    assert refused.value.reason == "too-many-pixels"


def test_several_children_keep_pictures_apart() -> None:
    pictures = [picture(seed) for seed in range(40)]

    with Sandbox(LIMITS, children=2) as sandbox, ThreadPoolExecutor(4) as threads:
        stored = list(threads.map(sandbox.decode, pictures))

    assert stored == [decode_and_store(data, LIMITS) for data in pictures]


def test_of_several_pictures_in_one_hand_only_the_fatal_one_is_lost() -> None:
    pictures = [picture(seed) for seed in range(12)]

    with Sandbox(LIMITS, seconds=1) as sandbox, ThreadPoolExecutor(12) as threads:
        sandbox.decode(picture())
        os.kill(child_of(sandbox), signal.SIGSTOP)
        answers = [threads.submit(sandbox.decode, data) for data in pictures]
        faults = [answer.exception() for answer in answers]

    lost = [fault for fault in faults if fault is not None]
    assert [fault.reason for fault in lost if isinstance(fault, BadPicture)] == ["decoder-timeout"]
    assert len(lost) == 1


def test_more_and_larger_pictures_than_the_pipe_holds_come_through(sandbox: Sandbox) -> None:
    noise = Image.frombytes("RGB", (900, 900), random.Random(5).randbytes(900 * 900 * 3))
    out = io.BytesIO()
    noise.save(out, "PNG", compress_level=0)
    assert len(out.getvalue()) > 2 << 20

    with ThreadPoolExecutor(9) as threads:
        stored = list(threads.map(sandbox.decode, [out.getvalue()] * 9))

    assert {found.payload for found in stored} == {decode_and_store(out.getvalue(), LIMITS).payload}


def test_what_waits_when_the_sandbox_closes_is_told(sandbox: Sandbox) -> None:
    sandbox.decode(picture())
    os.kill(child_of(sandbox), signal.SIGSTOP)
    waiting = [sandbox._submit(picture(seed)) for seed in range(20)]

    sandbox.close()

    assert all(future.done() for future in waiting)


def test_a_child_ends_with_its_sandbox(sandbox: Sandbox) -> None:
    sandbox.decode(picture())
    child = child_of(sandbox)

    sandbox.close()

    assert not Path(f"/proc/{child}").exists()
