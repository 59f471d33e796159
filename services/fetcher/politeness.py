"""Politeness: whose turn it is at each host, the pause between two requests, and back-off when a host asks for it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from entityflow.metrics import FETCH_HOSTS, FETCH_WAITING
from entityflow.records import Host
from services.fetcher.pace import Pace, Terms

SMOOTHING = 0.3
FAULTS_OF_ADDRESSES = 3  # so many in a row are no longer about single addresses
COMPLAINTS = frozenset(("throttled", "robots-unavailable"))
JITTER = (0.9, 1.1)
RATE_WORTH_WRITING = 1.5
UNKNOWN_TERMS = Terms(1.0)  # of a host that is remembered and not yet asked


class Parked(Exception):
    """The host is not free soon: wait in the retry topic of number `tier`. Neither an attempt nor a fault."""

    def __init__(self, tier: int) -> None:
        super().__init__(f"tier {tier}")
        self.tier = tier


class HostDown(Exception):
    """The host has failed for so long that whoever comes while it is left alone has failed too."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(slots=True)
class HostState:
    """Moments are epoch seconds. `parked`: by retry topic, when each candidate comes back.

    failures: what the next back-off is counted by; `faults` in a row, `failing_since` without a good answer between.
    """

    pace: Pace
    parked: tuple[deque[float], ...]
    free_at: float = 0.0
    blocked_until: float = 0.0
    failures: int = 0
    faults: int = 0
    failed_at: float = 0.0
    failing_since: float = 0.0
    cause: str | None = None
    request_seconds: float = 0.0
    measured: bool = False
    active: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    written_at: float = 0.0
    written_rate: float = 0.0

    @property
    def seconds_each(self) -> float:
        """What one request takes of the host's time."""
        return max(self.pace.interval_seconds, self.request_seconds / self.pace.connections)


@dataclass(frozen=True, slots=True)
class Patience:
    """The numbers of politeness; `tier_seconds` are the delays of the retry topics, shortest first."""

    tier_seconds: tuple[float, ...]
    park_seconds: float
    backoff_seconds: float
    max_backoff_seconds: float
    forgive_seconds: float = 1800.0

    @property
    def down_after_seconds(self) -> float:
        """As long as a candidate that fails by itself would be tried."""
        return sum(self.tier_seconds)


class Hosts:
    """The state of every host key that this process was given; `clock` gives epoch seconds."""

    def __init__(
        self,
        patience: Patience,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = lambda: random.uniform(*JITTER),
    ) -> None:
        self._patience, self._clock, self._sleep, self._jitter = patience, clock, sleep, jitter
        self._states: dict[str, HostState] = {}
        self._took_over_at = 0.0

    def took_over(self) -> None:
        """Hosts may have been asked a moment ago by the owner before: each gets one full pause first."""
        self._took_over_at = self._clock()

    def remember(self, key: str, record: Host | None) -> None:
        """What the `host` topic says, from this process or the one before it."""
        if record is None:
            self._states.pop(key, None)
            return
        state = self._state(key, UNKNOWN_TERMS)
        if record.at <= state.written_at:
            return
        state.pace.rate = 1 / record.delay_seconds if record.delay_seconds else state.pace.rate
        state.pace.strict = state.pace.strict or bool(record.failures)
        if record.rate_limit is not None:
            state.pace.limit = record.rate_limit
        state.blocked_until = max(state.blocked_until, record.blocked_until or 0.0)
        if record.failures and not state.failures:
            state.failing_since = record.at
        state.failures, state.cause, state.failed_at = record.failures, record.cause, record.at
        state.written_at, state.written_rate = record.at, state.pace.rate

    @asynccontextmanager
    async def turn(self, key: str, terms: Terms) -> AsyncIterator[HostState]:
        """The host for one candidate; raises Parked when that would take too long, HostDown when it is no use."""
        state = self._state(key, terms)
        state.pace.offered(terms)
        self._leave_if_blocked(state)
        self._leave_if_crowded(state)
        try:
            async with asyncio.timeout(2 * self._patience.park_seconds):
                await self._enter(state)
        except TimeoutError as exc:
            raise Parked(self._tier(state, 0.0)) from exc
        try:
            self._leave_if_blocked(state)
            await self.pause(state)
            yield state
        finally:
            state.active -= 1
            self._admit(state)

    async def pause(self, state: HostState) -> None:
        """Until the next request may start; called by the holder of a turn before each one."""
        start = max(self._clock(), state.free_at)
        state.free_at = start + state.pace.interval_seconds
        while (wait := max(start, state.blocked_until) - self._clock()) > 0:
            self._leave_if_blocked(state)
            await self._sleep(wait)

    def requested(self, state: HostState, seconds: float, size: int = 0) -> None:
        """A request has ended after `seconds` with `size` bytes."""
        state.request_seconds += (SMOOTHING if state.measured else 1.0) * (seconds - state.request_seconds)
        state.measured = True
        pause = state.pace.crawl_delay
        if state.pace.terms.bytes_per_second:
            pause = max(pause, size / state.pace.terms.bytes_per_second - seconds)
        state.free_at = max(state.free_at, self._clock() + pause)

    def failed(self, key: str, state: HostState, cause: str, asked_seconds: float | None) -> Host:
        """The host asked for patience, or is in trouble: nobody asks it for a while."""
        patience, now = self._patience, self._clock()
        if cause in COMPLAINTS:
            state.pace.complained()
        own = patience.backoff_seconds * 2 ** min(state.failures, 30) * self._jitter()
        self._count_fault(state, cause)
        state.failures, state.failed_at = state.failures + 1, now
        state.blocked_until = now + (min(own, patience.max_backoff_seconds) if asked_seconds is None else asked_seconds)
        return self._record(key, state)

    def stumbled(self, key: str, state: HostState, cause: str) -> Host | None:
        """One fault may be of one address; a row of them is the host's."""
        if state.faults + 1 < FAULTS_OF_ADDRESSES:
            self._count_fault(state, cause)
            return None
        return self.failed(key, state, cause, None)

    def went_well(self, key: str, state: HostState) -> Host | None:
        """The record to write where this changed something. Complaints are forgiven after a quiet time only."""
        state.pace.went_well()
        state.faults, state.failing_since = 0, 0.0
        complained = state.cause in COMPLAINTS and self._clock() - state.failed_at < self._patience.forgive_seconds
        if state.failures and not complained:
            state.failures, state.cause = 0, None
            return self._record(key, state)
        return self._record(key, state) if self._learned_much(state) else None

    def blocked_seconds(self, state: HostState) -> float:
        return max(0.0, state.blocked_until - self._clock())

    def sweep(self) -> None:
        """Forget the hosts about which there is nothing to remember; count the others."""
        now = self._clock()
        for key, state in list(self._states.items()):
            busy = state.active or state.waiting or any(state.parked)
            taught = state.failures or state.faults or state.pace.strict
            if not busy and not taught and max(state.free_at, state.blocked_until) <= now:
                del self._states[key]
        states = self._states.values()
        FETCH_HOSTS.labels("known").set(len(states))
        FETCH_HOSTS.labels("waiting").set(sum(bool(state.waiting) for state in states))
        FETCH_HOSTS.labels("blocked").set(sum(state.blocked_until > now for state in states))
        FETCH_WAITING.set(sum(len(state.waiting) for state in states))

    # --- turns ---

    async def _enter(self, state: HostState) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        state.waiting.append(place)
        self._admit(state)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                state.waiting.remove(place)
            else:
                state.active -= 1
                self._admit(state)
            raise

    def _admit(self, state: HostState) -> None:
        while state.waiting and state.active < state.pace.connections:
            place = state.waiting.popleft()
            if not place.cancelled():
                state.active += 1
                place.set_result(None)

    def _leave_if_blocked(self, state: HostState) -> None:
        blocked = self.blocked_seconds(state)
        failing = state.failing_since and self._clock() - state.failing_since >= self._patience.down_after_seconds
        if blocked and failing:
            raise HostDown(state.cause or "")
        if blocked > self._patience.park_seconds:
            raise Parked(self._tier(state, blocked))

    def _leave_if_crowded(self, state: HostState) -> None:
        """Before anything is known of a host without a delay nobody is sent away: most are fast."""
        pauses = max(0.0, state.free_at - self._clock(), self.blocked_seconds(state))
        pauses += len(state.waiting) * state.pace.interval_seconds
        answers = (len(state.waiting) + state.active) * state.request_seconds / state.pace.connections
        if max(pauses, answers) > self._patience.park_seconds:
            raise Parked(self._tier(state, 0.0))

    def _tier(self, state: HostState, seconds: float) -> int:
        """The longest retry topic within `seconds` that is not full: no more candidates than the host can take."""
        now, last = self._clock(), len(self._patience.tier_seconds) - 1
        tier = max([n for n, delay in enumerate(self._patience.tier_seconds) if delay <= seconds], default=0)
        for parked in state.parked:
            while parked and parked[0] <= now:
                parked.popleft()
        while tier < last and len(state.parked[tier]) * state.seconds_each >= self._patience.tier_seconds[tier]:
            tier += 1
        state.parked[tier].append(now + self._patience.tier_seconds[tier])
        return tier

    # --- states ---

    def _state(self, key: str, terms: Terms) -> HostState:
        if key not in self._states:
            state = HostState(Pace(terms), tuple(deque() for _ in self._patience.tier_seconds))
            state.free_at = self._took_over_at + state.pace.interval_seconds if self._took_over_at else 0.0
            self._states[key] = state
        return self._states[key]

    def _learned_much(self, state: HostState) -> bool:
        """A host that complained is remembered as it becomes faster again; others begin anew."""
        if not state.pace.strict or not state.written_rate:
            return False
        change = state.pace.rate / state.written_rate
        return not 1 / RATE_WORTH_WRITING < change < RATE_WORTH_WRITING

    def _count_fault(self, state: HostState, cause: str) -> None:
        state.failing_since = state.failing_since or self._clock()
        state.faults, state.cause = state.faults + 1, cause

    def _record(self, key: str, state: HostState) -> Host:
        state.written_at, state.written_rate = self._clock(), state.pace.rate
        return Host(
            host_key=key,
            delay_seconds=1 / state.pace.rate,
            blocked_until=state.blocked_until if state.blocked_until > state.written_at else None,
            failures=state.failures,
            cause=state.cause,
            rate_limit=None if state.pace.limit == float("inf") else state.pace.limit,
            at=state.written_at,
        )
