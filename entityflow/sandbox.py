"""Decoding of hostile pictures in child processes: no environment, bounded memory, processor time and files.

A child lives long and is handed several pictures at a time over pipes, so that it never waits for the next one; one
that crashes or hangs is killed and made anew, and only the picture in its hands is lost, with a reason.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType

from entityflow.pictures import BadPicture, PictureLimits, StoredPicture
from entityflow.sandbox_pipe import Child, ChildLost

MAX_BATCH = 8


class Sandbox:
    """`decode` from any thread, or `await decode_soon`; at most `children` pictures are decoded at once."""

    def __init__(self, limits: PictureLimits, *, children: int = 1, seconds: float = 10.0) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._children = [Child(limits, seconds) for _ in range(children)]
        self._threads = [
            threading.Thread(target=self._serve, args=(child,), name="decode", daemon=True) for child in self._children
        ]
        for thread in self._threads:
            thread.start()

    def decode(self, data: bytes) -> StoredPicture:
        """The stored form of the picture; raises BadPicture, also for what killed its decoder."""
        return self._submit(data).result()

    async def decode_soon(self, data: bytes) -> StoredPicture:
        return await asyncio.wrap_future(self._submit(data))

    def close(self) -> None:
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for child in self._children:
            child.stop()
        for thread in self._threads:
            thread.join()
        for child in self._children:
            child.kill()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _submit(self, data: bytes) -> Future[StoredPicture]:
        job = _Job(data)
        self._jobs.put(job)
        return job.future

    def _serve(self, child: Child) -> None:
        while (first := self._jobs.get()) is not None:
            if self._closed:
                first.future.cancel()
                continue
            jobs = [job for job in [first, *self._waiting()] if job.future.set_running_or_notify_cancel()]
            try:
                self._work(child, jobs)
            except Exception as exc:  # noqa: BLE001 - the border of the thread: whoever waits must hear of it
                for job in jobs:
                    if not job.future.done():
                        job.future.set_exception(exc)

    def _waiting(self) -> list[_Job]:
        """This child's share of what waits; a sentinel that was met goes back."""
        found: list[_Job] = []
        share = min(MAX_BATCH - 1, self._jobs.qsize() // len(self._children))
        while len(found) < share:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            found.append(job)
        return found

    def _work(self, child: Child, jobs: Sequence[_Job]) -> None:
        """Answers every job; what waited behind a picture that ended the child goes to the next child."""
        while jobs:
            done = 0
            try:
                for found in child.decode([job.data for job in jobs]):
                    jobs[done].answer(found)
                    done += 1
            except ChildLost as lost:
                if self._closed:
                    raise
                jobs[done].answer(BadPicture(lost.reason, f"decoder of {len(jobs[done].data)} bytes"))
                done += 1
            jobs = jobs[done:]


class _Job:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.future: Future[StoredPicture] = Future()

    def answer(self, found: StoredPicture | BadPicture) -> None:
        if isinstance(found, BadPicture):
            self.future.set_exception(found)
        else:
            self.future.set_result(found)
