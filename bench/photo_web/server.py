"""A server of pictures on many loopback addresses, as cheap as it can be: benchmarks share its cores.

    python bench/photo_web/server.py FOLDER HOSTS [--tls CERTIFICATE KEY] [--latency SECONDS]

Listens on one port of 127.0.0.1 to 127.0.0.HOSTS, keeps connections alive, and prints the port. Every file of FOLDER is
held in memory; `/_first` answers when the first picture of the run was asked for (epoch seconds), and begins a new run.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import time
from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Pictures:
    def __init__(self, folder: Path, latency_seconds: float) -> None:
        self._answers = {
            b"/" + path.name.encode(): OK % path.stat().st_size + path.read_bytes() for path in folder.glob("*.jpg")
        }
        self.latency_seconds = latency_seconds
        self._first = 0.0

    def answer(self, target: bytes) -> bytes:
        if target == b"/_first":
            first, self._first = self._first, 0.0
            body = b"%f" % first
            return OK % len(body) + body
        found = self._answers.get(target, NOT_FOUND)
        if found is not NOT_FOUND:
            self._first = self._first or time.time()
        return found


class Connection(asyncio.Protocol):
    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if not self._head.endswith(b"\r\n\r\n"):
            return
        head, self._head = self._head, b""
        target = head.split(b" ", 2)[1]
        closing = b"connection: close" in head.lower()
        delay = self._pictures.latency_seconds
        if delay:
            asyncio.get_running_loop().call_later(delay, self._reply, target, closing)
        else:
            self._reply(target, closing)

    def _reply(self, target: bytes, closing: bool) -> None:
        self._transport.write(self._pictures.answer(target))
        if closing:
            self._transport.close()


async def serve(pictures: Pictures, hosts: int, tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    port = 0
    for number in range(1, hosts + 1):
        server = await loop.create_server(lambda: Connection(pictures), f"127.0.0.{number}", port, ssl=tls)
        port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("hosts", type=int)
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--latency", type=float, default=0.0)
    args = parser.parse_args()
    context = None
    if args.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*args.tls)
    asyncio.run(serve(Pictures(args.folder, args.latency), args.hosts, context))


if __name__ == "__main__":
    main()
