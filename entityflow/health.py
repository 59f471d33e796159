"""Health and metrics of a process on one port: /healthz, /readyz, /metrics, /status.

Live = the poll loop turned within the last minute; it does not depend on the servers around being up.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from entityflow.errors import UserError

STALL_SECONDS = 60.0
STOP_SECONDS = 0.05  # how long a stop waits for the server


class Health:
    """What a process says of itself. `beat` is called by each turn of the poll loop."""

    def __init__(self, status: Callable[[], dict[str, Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._status = status
        self._clock = clock
        self._last_beat = clock()
        self.ready = False

    def beat(self) -> None:
        self._last_beat = self._clock()

    @property
    def live(self) -> bool:
        return self._clock() - self._last_beat < STALL_SECONDS

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """(status, content type, body) for a path."""
        match path:
            case "/healthz":
                return (200 if self.live else 503), "text/plain", b"ok\n" if self.live else b"stalled\n"
            case "/readyz":
                return (200 if self.ready else 503), "text/plain", b"ready\n" if self.ready else b"starting\n"
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest()
            case "/status":
                return 200, "application/json", json.dumps(self._status(), sort_keys=True).encode() + b"\n"
        return 404, "text/plain", b"not found\n"


def serve_health(health: Health, bind: str, port: int) -> ThreadingHTTPServer:
    """Serve in a daemon thread; port 0 takes a free one (`server.server_port` tells which)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = health.answer(self.path.split("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Probes come every few seconds: they are not worth a line."""

    try:
        server = ThreadingHTTPServer((bind, port), Handler)
    except OSError as exc:
        raise UserError(
            f"cannot listen on {bind}:{port} for health and metrics: {exc.strerror}",
            hint="set ENTITYFLOW_METRICS_PORT to a free port, or 0 to take any",
        ) from exc
    server.daemon_threads = True
    threading.Thread(
        target=partial(server.serve_forever, poll_interval=STOP_SECONDS), name="health", daemon=True
    ).start()
    return server
