"""Between a process and the object store: the n-th write stands still, so that the process can be killed there."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit

BEFORE, AFTER, LOSE = "before", "after", "lose"
CHUNK = 1 << 16


class FreezingStore:
    """Passes requests on. The n-th PUT (from 0) freezes `before` it reaches the store or `after`, and never gets an
    answer; `frozen` is set when it stands. With `lose` it only loses its answer, with the connection.
    """

    def __init__(self, endpoint: str, at: int, when: str) -> None:
        parts = urlsplit(endpoint)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._at, self._when = at, when
        self._lock = threading.Lock()
        self.writes = 0
        self.frozen = threading.Event()
        self._released = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> FreezingStore:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._released.set()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            while request := _request(client):
                freezes = self._counts(request)
                answer = b"" if freezes and self._when == BEFORE else self._ask(request)
                if freezes and self._when == LOSE:
                    return
                if freezes:
                    self.frozen.set()
                    self._released.wait()
                client.sendall(answer)

    def _counts(self, request: bytes) -> bool:
        """Whether this is the write to freeze at."""
        if not request.startswith(b"PUT "):
            return False
        with self._lock:
            self.writes += 1
            return self.writes - 1 == self._at

    def _ask(self, request: bytes) -> bytes:
        with socket.create_connection(self._upstream) as store:
            head, _, body = request.partition(b"\r\n\r\n")
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            store.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            return b"".join(iter(lambda: store.recv(CHUNK), b""))


def _request(client: socket.socket) -> bytes:
    """A whole request; nothing where the other side has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (chunk := _received(client)):
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        if not (chunk := _received(client)):
            return b""
        body += chunk
    return head + b"\r\n\r\n" + body


def _received(client: socket.socket) -> bytes:
    try:
        return client.recv(CHUNK)
    except OSError:
        return b""
