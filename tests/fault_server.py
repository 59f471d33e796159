"""A web server that replays raw bytes: every fault that a stranger's server can have, over real sockets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]
SIGNALS = ("/robots.txt", "/.well-known/tdmrep.json")
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Request:
    host: str
    target: str
    headers: dict[str, str]
    at: float


def answer(body: bytes = b"", status: str = "200 OK", *lines: str, length: int | None = None) -> bytes:
    """A whole answer; `lines` are further header lines."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *lines]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def moved(location: str) -> bytes:
    return answer(b"", "302 Found", f"Location: {location}")


def dripping(first: bytes, chunk: bytes, every_seconds: float) -> Handler:
    """Sends without end, until the other side has enough."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(every_seconds)

    return drip


class FaultServer:
    """One port for every host name. A path has a list of answers: each request takes the next, the last one stays."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[str, list[bytes | Handler]] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.most_at_once: dict[str, int] = {}
        self._open: dict[str, int] = {}

    def on(self, path: str, *answers: bytes | Handler) -> None:
        """`path` is a request target, or HOST + target for one host only."""
        self._answers[path] = list(answers)

    def asked(self, host: str = "") -> list[str]:
        """The targets that were requested, less robots.txt and tdmrep.json."""
        return [r.target for r in self.requests if r.target not in SIGNALS and host in ("", r.host)]

    def url(self, target: str) -> str:
        return f"http://127.0.0.1:{self.port}{target}"

    def __enter__(self) -> FaultServer:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._talk(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = _parse(await reader.readuntil(b"\r\n\r\n"))
        self.requests.append(request)
        found = self._answers.get(request.host + request.target) or self._answers.get(request.target) or [NOT_FOUND]
        reply = found.pop(0) if len(found) > 1 else found[0]
        self._open[request.host] = self._open.get(request.host, 0) + 1
        self.most_at_once[request.host] = max(self.most_at_once.get(request.host, 0), self._open[request.host])
        try:
            if isinstance(reply, bytes):
                writer.write(reply)
            else:
                await reply(writer)
            await writer.drain()
            writer.write_eof()
        finally:
            self._open[request.host] -= 1


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    return Request(headers.get("host", ""), first.split(" ")[1], headers, time.monotonic())
