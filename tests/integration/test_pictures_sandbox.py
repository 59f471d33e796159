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


def test_a_child_ends_with_its_sandbox(sandbox: Sandbox) -> None:
    sandbox.decode(picture())
    child = child_of(sandbox)

    sandbox.close()

    assert not Path(f"/proc/{child}").exists()
