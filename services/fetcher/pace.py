"""How fast one host may be asked: more while it answers well, half when it complains (AIMD)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

STEP_PER_SECOND = 0.05  # what each good answer adds to the rate
BELOW_LIMIT = 0.8  # of the rate at which the host complained
SLOWEST_PER_SECOND = 1 / 60
STRICT_PER_SECOND = 1.0  # where a host without a delay complains
ANSWERS_PER_CONNECTION = 10  # good ones, before another connection is opened


@dataclass(frozen=True, slots=True)
class Terms:
    """What a host is offered to begin with, and what growing may lead to.

    delay_seconds: between the starts of two requests; 0 for servers of our own. `speedup`: how many times as fast a
    host may become that never complains. `bytes_per_second`: none = no limit.
    """

    delay_seconds: float
    speedup: float = 1.0
    max_connections: int = 1
    bytes_per_second: float | None = None

    @property
    def rate(self) -> float:
        return 1 / self.delay_seconds if self.delay_seconds else math.inf


@dataclass(slots=True)
class Pace:
    """`rate` is in requests a second; `limit` is the lowest one at which the host complained.

    strict: it complained at a rate that nobody knows; one connection is what it gets.
    """

    terms: Terms
    rate: float = field(init=False)
    limit: float = math.inf
    connections: int = 1
    crawl_delay: float = 0.0
    strict: bool = False
    _well: int = 0

    def __post_init__(self) -> None:
        self.rate = self.terms.rate

    @property
    def interval_seconds(self) -> float:
        """Between the starts of two requests."""
        return max(1 / self.rate, self.crawl_delay)

    def offered(self, terms: Terms) -> None:
        """The terms in force; what the host has taught stays."""
        if terms != self.terms:
            untaught = self.rate == self.terms.rate
            self.terms = terms
            self.rate = terms.rate if untaught else min(self.rate, terms.rate * terms.speedup)
            self.connections = min(self.connections, terms.max_connections)

    def went_well(self) -> None:
        if self.crawl_delay:
            return
        ceiling = min(self.terms.rate * self.terms.speedup, BELOW_LIMIT * self.limit)
        if self.rate < ceiling:
            self.rate = min(ceiling, self.rate + STEP_PER_SECOND)
        self._well += 1
        if not self.strict and self._well >= ANSWERS_PER_CONNECTION * self.connections:
            self._well = 0
            self.connections = min(self.connections + 1, self.terms.max_connections)

    def complained(self) -> None:
        self.connections, self._well = 1, 0
        if self.rate == math.inf:
            self.rate, self.strict = STRICT_PER_SECOND, True
            return
        self.limit, self.strict = min(self.limit, self.rate), True
        self.rate = max(SLOWEST_PER_SECOND, self.rate / 2)

    def declared(self, crawl_delay: float | None) -> None:
        """What robots.txt asks for."""
        self.crawl_delay = crawl_delay or 0.0
        if self.crawl_delay:
            self.connections = 1
