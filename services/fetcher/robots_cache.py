"""The robots.txt and tdmrep.json of each origin, asked for by whoever holds a turn of its host, believed for a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from entityflow.addresses import BadAddress, WebAddress, parse_address
from entityflow.http import FetchFailed, WebClient
from services.fetcher.robots import MAX_ROBOTS_BYTES, Robots, robots_of_answer, robots_unavailable
from services.fetcher.tdm import MAX_BYTES as MAX_TDM_BYTES
from services.fetcher.tdm import PATH as TDM_PATH
from services.fetcher.tdm import TdmRule, parse_tdmrep

MAX_HOPS = 5
THROTTLED = (429, 503)
# faults that speak about the way to the host and not about its robots.txt
SAME_FOR_EVERY_PATH = frozenset(("private-address", "no-contact", "tls-failure"))


@dataclass(frozen=True, slots=True)
class AskedRobots:
    """`retry_after`: the header of a server that asked for patience."""

    robots: Robots
    retry_after: str | None = None


class AskedForPatience(Exception):
    """429 or 503; `retry_after` is the header."""

    def __init__(self, retry_after: str | None) -> None:
        super().__init__(retry_after or "")
        self.retry_after = retry_after


class RobotsCache:
    def __init__(
        self, web: WebClient, clock: Callable[[], float], *, seconds: float, unavailable_seconds: float
    ) -> None:
        self._web, self._clock = web, clock
        self._seconds, self._unavailable_seconds = seconds, unavailable_seconds
        self._entries: dict[str, tuple[Robots, float]] = {}

    def known(self, address: WebAddress) -> Robots | None:
        robots, expires = self._entries.get(address.origin, (None, 0.0))
        return robots if expires > self._clock() else None

    async def ask(self, address: WebAddress) -> AskedRobots:
        """One request or, with redirects, a few. Raises FetchFailed where the host cannot be reached at all."""
        asked = await self._ask(parse_address(address.origin + "/robots.txt"))
        seconds = self._unavailable_seconds if asked.robots.unavailable else self._seconds
        self._entries[address.origin] = (asked.robots, self._clock() + seconds)
        return asked

    async def ask_tdm(self, address: WebAddress, robots: Robots) -> Robots:
        """The same with what tdmrep.json says; a file that is not there or broken reserves nothing.

        Raises AskedForPatience; it is asked again at the next visit then.
        """
        place = parse_address(address.origin + TDM_PATH)
        rules = await self._tdm_rules(place) if robots.allows(place) else ()
        robots = replace(robots, tdm=rules)
        if address.origin in self._entries:
            self._entries[address.origin] = (robots, self._entries[address.origin][1])
        return robots

    async def _tdm_rules(self, place: WebAddress) -> tuple[TdmRule, ...]:
        try:
            async with self._web.get(place, accept="application/json, */*;q=0.1") as response:
                if response.status in THROTTLED:
                    raise AskedForPatience(response.headers.get("Retry-After"))
                return parse_tdmrep(await response.beginning(MAX_TDM_BYTES)) if response.status == 200 else ()
        except FetchFailed:
            return ()

    def sweep(self) -> None:
        """Forget what has expired."""
        now = self._clock()
        for origin in [origin for origin, (_, expires) in self._entries.items() if expires <= now]:
            del self._entries[origin]

    async def _ask(self, address: WebAddress) -> AskedRobots:
        try:
            for _ in range(MAX_HOPS + 1):
                async with self._web.get(address, accept="text/plain, */*;q=0.1") as response:
                    if not (300 <= response.status < 400 and response.location):
                        body = await response.beginning(MAX_ROBOTS_BYTES + 1) if response.status < 300 else b""
                        return AskedRobots(robots_of_answer(response.status, body), response.headers.get("Retry-After"))
                    location = response.location
                address = parse_address(location, address.request)
        except BadAddress as exc:
            return AskedRobots(Robots(f"no robots.txt: redirect to {exc.reason}"))
        except FetchFailed as exc:
            if exc.reason in SAME_FOR_EVERY_PATH:
                raise
            return AskedRobots(robots_unavailable(exc.reason))
        return AskedRobots(Robots("no robots.txt: too many redirects"))
