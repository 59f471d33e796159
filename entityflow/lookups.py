"""Names to addresses: looked up in threads, remembered for a while, and how many requests go to one address at once."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext

from entityflow.addresses import is_loopback
from entityflow.metrics import LOOKUP_SECONDS
from entityflow.turns import Turns

LOOKUP_THREADS = 16
REMEMBERED_SECONDS = 300.0
REMEMBERED_NAMES = 20_000
REQUESTS_PER_ADDRESS = 8  # many hosts share the machines of one provider


def looked_up(host: str) -> list[str]:
    """The addresses of a name, by the system; raises OSError."""
    found = socket.getaddrinfo(host, None, socket.AF_UNSPEC, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Lookups:
    """One for a process; `find` and `clock` are seams for tests."""

    def __init__(
        self, find: Callable[[str], list[str]] = looked_up, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._find, self._clock = find, clock
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")
        self._known: OrderedDict[str, tuple[list[str], float]] = OrderedDict()
        self._under_way: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """Raises OSError; a failure is not remembered."""
        found, expires = self._known.get(host, ([], 0.0))
        if found and expires > self._clock():
            return found
        if host not in self._under_way:
            loop = asyncio.get_running_loop()
            self._under_way[host] = asyncio.ensure_future(loop.run_in_executor(self._threads, self._timed, host))
            self._under_way[host].add_done_callback(lambda done: self._remember(host, done))
        return await asyncio.shield(self._under_way[host])

    def _timed(self, host: str) -> list[str]:
        with LOOKUP_SECONDS.time():
            return self._find(host)

    def _remember(self, host: str, done: asyncio.Future[list[str]]) -> None:
        del self._under_way[host]
        if done.cancelled() or done.exception() is not None:
            return
        self._known[host] = (done.result(), self._clock() + REMEMBERED_SECONDS)
        self._known.move_to_end(host)
        if len(self._known) > REMEMBERED_NAMES:
            self._known.popitem(last=False)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class Gates:
    """A ceiling of requests at once for each address that is not this machine."""

    def __init__(self) -> None:
        self._turns = Turns(REQUESTS_PER_ADDRESS)

    def through(self, address: str) -> AbstractAsyncContextManager[None]:
        return nullcontext() if is_loopback(address) else self._turns.of(address)
