"""Between a client and its object store: passes requests on, and does to chosen ones what networks and stores do."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

INTERNAL_ERROR = b"<Error><Code>InternalError</Code><Message>planted</Message></Error>"
CONFLICT = b"<Error><Code>ConditionalRequestConflict</Code><Message>planted</Message></Error>"


class Fault(Enum):
    """What happens to one request."""

    CUT_UPLOAD = auto()  # half of the body is read, then the connection ends; the store hears nothing
    LOSE_ANSWER = auto()  # carried out, but the connection ends before the answer
    REFUSE = auto()  # 500, and the store hears nothing
    FAIL_AFTER = auto()  # carried out, answered with 500
    CONFLICT = auto()  # 409, and the store hears nothing
    CUT_ANSWER = auto()  # half of the answer's body, then the connection ends
    GARBLE = auto()  # 503 with XML that ends in the middle
    SPOIL = auto()  # the last byte of the answer is another
    STALL = auto()  # carried out, never answered


UNASKED = {
    Fault.REFUSE: (500, INTERNAL_ERROR),
    Fault.CONFLICT: (409, CONFLICT),
    Fault.GARBLE: (503, INTERNAL_ERROR[:30]),
}


class FaultyStore(ThreadingHTTPServer):
    """`plant(method, fault...)`: the next requests of that method meet these, one each; all others go through."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        address = urlsplit(upstream)
        self.upstream = (address.hostname or "", address.port or 80)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[str] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._planted: dict[str, list[Fault]] = {}

    def plant(self, method: str, *faults: Fault) -> None:
        with self._lock:
            self._planted.setdefault(method, []).extend(faults)

    @property
    def met_all(self) -> bool:
        """Whether every fault has happened."""
        return not any(self._planted.values())

    def next_fault(self, method: str) -> Fault | None:
        with self._lock:
            self.requests.append(method)
            planted = self._planted.get(method)
            return planted.pop(0) if planted else None

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that break are what it is for."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyStore

    def _pass(self) -> None:
        fault, length = self.server.next_fault(self.command), int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length // 2 if fault is Fault.CUT_UPLOAD else length)
        if fault is Fault.CUT_UPLOAD:
            self._hang_up()
        elif fault in UNASKED:
            self._answer(UNASKED[fault][0], {}, UNASKED[fault][1])
        else:
            self._carry_out(fault, body)

    def _carry_out(self, fault: Fault | None, body: bytes) -> None:
        status, headers, answer = self._ask(body)
        if fault is Fault.FAIL_AFTER:
            self._answer(500, {}, INTERNAL_ERROR)
        elif fault in (Fault.LOSE_ANSWER, Fault.STALL):
            if fault is Fault.STALL:
                self.server.stopping.wait()
            self._hang_up()
        else:
            if fault is Fault.SPOIL:
                answer = answer[:-1] + bytes([answer[-1] ^ 1])
            self._answer(status, headers, answer, cut=fault is Fault.CUT_ANSWER)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            return answer.status, dict(answer.headers.items()), answer.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, cut: bool = False) -> None:
        self.send_response_only(status)
        kept = {
            name: value for name, value in headers.items() if name.lower() not in ("transfer-encoding", "connection")
        }
        if not headers:
            kept = {"Content-Type": "application/xml"}
        if self.command != "HEAD":
            kept["Content-Length"] = str(len(body))
        for name, value in kept.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body if self.command != "HEAD" else b"")
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def faulty(upstream: str) -> Iterator[FaultyStore]:
    with FaultyStore(upstream) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join(10)
