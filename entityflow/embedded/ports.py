"""Free ports on loopback."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterable

from entityflow.errors import UserError

LOOPBACK = "127.0.0.1"
# below the ports that systems give to outgoing connections, so that none of those takes ours between two starts
CHOICE = range(10_240, 22_768)
LOOK_SECONDS = 0.05


def free_ports(count: int, apart: int = 0) -> list[int]:
    """`count` ports that nothing listens on; with `apart`, port + apart is free too (SeaweedFS takes port + 10000)."""
    ports: list[int] = []
    for port in random.sample(CHOICE, len(CHOICE)):
        if len(ports) == count:
            break
        if is_free(port) and (not apart or is_free(port + apart)):
            ports.append(port)
    if len(ports) < count:
        raise UserError(
            f"no free port from {CHOICE.start} to {CHOICE.stop - 1} on {LOOPBACK}", hint="stop other servers"
        )
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen there now. A port that is only waiting for its last packets counts as free."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def become_free(ports: Iterable[int], seconds: float) -> bool:
    """Whether all are free within that time: the system takes a moment to close what a killed process held."""
    deadline = time.monotonic() + seconds
    left = list(ports)
    while left := [port for port in left if not is_free(port)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True
