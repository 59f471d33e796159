"""The parent's end of one decoding child: its process, and the exchange of pictures and answers over two pipes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from entityflow.metrics import DECODER_SECONDS, DECODERS_LOST
from entityflow.pictures import BadPicture, PictureLimits, StoredPicture
from entityflow.records import Original

PIPE_BYTES = 1 << 20  # what Linux allows without privileges: most pictures go through in one call
FRAME = struct.Struct(">Q")
START_SECONDS = 30.0


class ChildLost(Exception):
    """The child died or did not answer in time; `reason` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Child:
    """One process, made when it is first needed and again after it was lost. One thread at a time."""

    def __init__(self, limits: PictureLimits, seconds: float) -> None:
        self._limits, self._seconds = limits, seconds
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, pictures: Sequence[bytes]) -> Iterator[StoredPicture | BadPicture]:
        """One answer a picture, in order, each within `seconds` after the one before. Raises ChildLost."""
        if self._process and self._process.poll() is not None:
            self.kill()
        process = self._process or self._start()
        try:
            answers = _Exchange(process, pictures, self._seconds)
            for _ in pictures:
                yield _answer(answers.frame(), answers.frame())
        except ChildLost as lost:
            DECODERS_LOST.labels(lost.reason).inc()
            self.kill()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-m", "entityflow.sandbox_child", json.dumps(asdict(self._limits))]
        command.append(str(self._seconds))
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, bufsize=0
        )
        for pipe in _pipes(process):
            os.set_blocking(pipe, False)
            with contextlib.suppress(OSError):  # a smaller pipe only costs more calls
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._process = process
        if _Exchange(process, (), START_SECONDS).frame() != b"ready":
            raise RuntimeError("the decoder did not start")
        return process

    def stop(self) -> None:
        """From any thread: whoever waits for an answer gets ChildLost."""
        if process := self._process:
            process.kill()

    def kill(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._process = None


def _pipes(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    assert process.stdin
    assert process.stdout
    return process.stdin.fileno(), process.stdout.fileno()


def _answer(head: bytes, payload: bytes) -> StoredPicture | BadPicture:
    said = json.loads(head)
    DECODER_SECONDS.inc(said["cpu_seconds"])
    if "reason" in said:
        return BadPicture(said["reason"], said["detail"])
    return StoredPicture(payload, said["format"], said["width"], said["height"], Original(**said["original"]))


class _Exchange:
    """Writes while there is something to write, reads while something comes: neither side can block the other."""

    def __init__(self, process: subprocess.Popen[bytes], pictures: Sequence[bytes], seconds: float) -> None:
        self._to, self._from = _pipes(process)
        self._outgoing: deque[memoryview] = deque()
        for picture in pictures:
            self._outgoing += (memoryview(FRAME.pack(len(picture))), memoryview(picture))
        self._incoming = bytearray()
        self._seconds = seconds
        self._poll = select.poll()
        self._poll.register(self._from, select.POLLIN)
        if self._outgoing:
            self._poll.register(self._to, select.POLLOUT)

    def frame(self) -> bytes:
        deadline = time.monotonic() + self._seconds
        (length,) = FRAME.unpack(self._bytes(FRAME.size, deadline))
        return self._bytes(length, deadline)

    def _bytes(self, length: int, deadline: float) -> bytes:
        while len(self._incoming) < length:
            self._move(deadline)
        found = bytes(self._incoming[:length])
        del self._incoming[:length]
        return found

    def _move(self, deadline: float) -> None:
        events = self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not events:
            raise ChildLost("decoder-timeout")
        for pipe, _ in events:
            if pipe == self._from:
                self._read()
            else:
                self._write()

    def _read(self) -> None:
        chunk = os.read(self._from, PIPE_BYTES)
        if not chunk:
            raise ChildLost("decoder-crashed")
        self._incoming += chunk

    def _write(self) -> None:
        try:
            written = os.writev(self._to, list(self._outgoing)[:16])
        except BlockingIOError:
            return
        except BrokenPipeError as exc:
            raise ChildLost("decoder-crashed") from exc
        while self._outgoing and written >= len(self._outgoing[0]):
            written -= len(self._outgoing.popleft())
        if self._outgoing:
            self._outgoing[0] = self._outgoing[0][written:]
        else:
            self._poll.unregister(self._to)
