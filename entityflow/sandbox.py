"""Decoding of hostile pictures in child processes: no environment, bounded memory, processor time and files.

A child lives long and takes one picture after another over pipes; one that crashes or hangs is killed and made anew,
and only the picture in its hands is lost, with a reason.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import select
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from types import TracebackType

from entityflow.pictures import BadPicture, PictureLimits, StoredPicture
from entityflow.records import Original

PIPE_BYTES = 1 << 16
FRAME = struct.Struct(">Q")


class ChildLost(Exception):
    """The child died or did not answer in time; `reason` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Sandbox:
    """`decode` from any thread, or `await decode_soon`; at most `children` pictures are decoded at once."""

    def __init__(self, limits: PictureLimits, *, children: int = 1, seconds: float = 10.0) -> None:
        self._threads = ThreadPoolExecutor(children, thread_name_prefix="decode")
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        self._children = [_Child(limits, seconds) for _ in range(children)]
        for child in self._children:
            self._idle.put(child)

    def decode(self, data: bytes) -> StoredPicture:
        """The stored form of the picture; raises BadPicture, also for what killed its decoder."""
        child = self._idle.get()
        try:
            return child.decode(data)
        finally:
            self._idle.put(child)

    async def decode_soon(self, data: bytes) -> StoredPicture:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.decode, data)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        for child in self._children:
            child.kill()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Child:
    def __init__(self, limits: PictureLimits, seconds: float) -> None:
        self._limits, self._seconds = limits, seconds
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, data: bytes) -> StoredPicture:
        if self._process and self._process.poll() is not None:
            self.kill()
        process = self._process or self._start()
        deadline = time.monotonic() + self._seconds
        try:
            _write(process, FRAME.pack(len(data)), deadline)
            _write(process, data, deadline)
            head = json.loads(_read_frame(process, deadline))
            payload = _read_frame(process, deadline)
        except ChildLost as lost:
            self.kill()
            raise BadPicture(lost.reason, f"decoder of {len(data)} bytes") from lost
        if "reason" in head:
            raise BadPicture(head["reason"], head["detail"])
        return StoredPicture(payload, head["format"], head["width"], head["height"], Original(**head["original"]))

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-m", "entityflow.sandbox_child", json.dumps(asdict(self._limits))]
        command.append(str(self._seconds))
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, bufsize=0
        )
        assert process.stdin
        os.set_blocking(process.stdin.fileno(), False)
        self._process = process
        if _read_frame(process, time.monotonic() + 30) != b"ready":
            raise RuntimeError("the decoder did not start")
        return process

    def kill(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._process = None


def _write(process: subprocess.Popen[bytes], data: bytes, deadline: float) -> None:
    assert process.stdin
    pipe, view = process.stdin.fileno(), memoryview(data)
    while view:
        _wait(pipe, select.POLLOUT, deadline)
        try:
            view = view[os.write(pipe, view[:PIPE_BYTES]) :]
        except BlockingIOError:
            continue
        except BrokenPipeError as exc:
            raise ChildLost("decoder-crashed") from exc


def _read_frame(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    (length,) = FRAME.unpack(_read(process, FRAME.size, deadline))
    return _read(process, length, deadline)


def _read(process: subprocess.Popen[bytes], length: int, deadline: float) -> bytes:
    assert process.stdout
    pipe, found = process.stdout.fileno(), bytearray()
    while len(found) < length:
        _wait(pipe, select.POLLIN, deadline)
        chunk = os.read(pipe, min(PIPE_BYTES, length - len(found)))
        if not chunk:
            raise ChildLost("decoder-crashed")
        found += chunk
    return bytes(found)


def _wait(pipe: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise ChildLost("decoder-timeout")
