"""Politeness: one request at a time per host key, a pause between two, and back-off when a host asks for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from entityflow.records import Host

GUESSED_SECONDS = 0.2  # of a request to a host that was not seen before
SMOOTHING = 0.3
FAULTS_OF_ADDRESSES = 3  # so many in a row are no longer about single addresses


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
    """`free_at` and `blocked_until` are epoch seconds; `parked`: by retry topic, when each candidate comes back."""

    delay_seconds: float
    parked: tuple[deque[float], ...]
    blocked_until: float = 0.0
    free_at: float = 0.0
    failures: int = 0
    failing_since: float = 0.0
    cause: str | None = None
    request_seconds: float = GUESSED_SECONDS
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def seconds_each(self) -> float:
        """What one request takes of the host's time."""
        return max(self.delay_seconds, self.request_seconds)


@dataclass(frozen=True, slots=True)
class Patience:
    """The numbers of politeness; `tier_seconds` are the delays of the retry topics, shortest first."""

    tier_seconds: tuple[float, ...]
    park_seconds: float
    backoff_seconds: float
    max_backoff_seconds: float

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
    ) -> None:
        self._patience, self._clock, self._sleep = patience, clock, sleep
        self._states: dict[str, HostState] = {}

    def remember(self, key: str, record: Host | None) -> None:
        """What the `host` topic says, from this process or the one before it."""
        if record is None:
            self._states.pop(key, None)
            return
        state = self._state(key, record.delay_seconds)
        state.delay_seconds = record.delay_seconds
        state.blocked_until = max(state.blocked_until, record.blocked_until or 0.0)
        if record.failures and not state.failures:
            state.failing_since = record.at
        state.failures, state.cause = record.failures, record.cause

    @asynccontextmanager
    async def turn(self, key: str, delay_seconds: float) -> AsyncIterator[HostState]:
        """The host for one candidate; raises Parked when that would take too long, HostDown when it is no use."""
        state = self._state(key, delay_seconds)
        self._leave_if_blocked(state)
        ahead = state.waiting + state.turn.locked()
        if self._busy_seconds(state) + ahead * state.seconds_each > self._patience.park_seconds:
            raise Parked(self._tier(state, 0.0))
        state.waiting += 1
        try:
            async with asyncio.timeout(2 * self._patience.park_seconds):
                await state.turn.acquire()
        except TimeoutError as exc:
            raise Parked(self._tier(state, 0.0)) from exc
        finally:
            state.waiting -= 1
        try:
            self._leave_if_blocked(state)
            await self.pause(state)
            yield state
        finally:
            state.turn.release()

    async def pause(self, state: HostState) -> None:
        """Until the next request may start; called by the holder of the turn before each one."""
        if (wait := self._busy_seconds(state)) > 0:
            await self._sleep(wait)

    def requested(self, state: HostState, seconds: float) -> None:
        """A request has ended after `seconds`."""
        state.request_seconds += SMOOTHING * (seconds - state.request_seconds)
        state.free_at = self._clock() + state.delay_seconds

    def failed(self, key: str, state: HostState, cause: str, asked_seconds: float | None) -> Host:
        """The host asked for patience, or is in trouble: nobody asks it for a while."""
        patience = self._patience
        own = min(patience.backoff_seconds * 2 ** min(state.failures, 30), patience.max_backoff_seconds)
        self._count_failure(state, cause)
        state.blocked_until = self._clock() + (own if asked_seconds is None else asked_seconds)
        return self._record(key, state)

    def stumbled(self, key: str, state: HostState, cause: str) -> Host | None:
        """One fault may be of one address; a row of them is the host's."""
        if state.failures + 1 < FAULTS_OF_ADDRESSES:
            self._count_failure(state, cause)
            return None
        return self.failed(key, state, cause, None)

    def went_well(self, key: str, state: HostState) -> Host | None:
        """The record to write where this changed something."""
        if not state.failures:
            return None
        state.failures, state.cause, state.blocked_until = 0, None, 0.0
        return self._record(key, state)

    def _count_failure(self, state: HostState, cause: str) -> None:
        if not state.failures:
            state.failing_since = self._clock()
        state.failures, state.cause = state.failures + 1, cause

    def blocked_seconds(self, state: HostState) -> float:
        return max(0.0, state.blocked_until - self._clock())

    def sweep(self) -> None:
        """Forget the hosts about which there is nothing to remember."""
        now = self._clock()
        for key, state in list(self._states.items()):
            plain = not (state.waiting or state.failures or state.turn.locked() or max(map(len, state.parked)))
            if plain and max(state.free_at, state.blocked_until) <= now:
                del self._states[key]

    def _state(self, key: str, delay_seconds: float) -> HostState:
        if key not in self._states:
            self._states[key] = HostState(delay_seconds, tuple(deque() for _ in self._patience.tier_seconds))
        return self._states[key]

    def _busy_seconds(self, state: HostState) -> float:
        return max(0.0, state.free_at - self._clock(), state.blocked_until - self._clock())

    def _leave_if_blocked(self, state: HostState) -> None:
        blocked = self.blocked_seconds(state)
        if blocked and self._clock() - state.failing_since >= self._patience.down_after_seconds:
            raise HostDown(state.cause or "")
        if blocked > self._patience.park_seconds:
            raise Parked(self._tier(state, blocked))

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

    def _record(self, key: str, state: HostState) -> Host:
        return Host(
            host_key=key,
            delay_seconds=state.delay_seconds,
            blocked_until=state.blocked_until or None,
            failures=state.failures,
            cause=state.cause,
            at=self._clock(),
        )
