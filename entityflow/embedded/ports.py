"""Free ports on loopback."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_ports(count: int, apart: int = 0) -> list[int]:
    """`count` ports that nothing listens on; with `apart`, port + apart is free too (SeaweedFS takes port + 10000)."""
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            server = socket.create_server((LOOPBACK, 0))
            held.append(server)
            port = server.getsockname()[1]
            if not apart or (port + apart < 65536 and is_free(port + apart)):
                ports.append(port)
    finally:
        for server in held:
            server.close()
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen there now. A port that is only waiting for its last packets counts as free."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True
