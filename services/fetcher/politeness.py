"""Politeness: one request at a time per host key, a pause between two, and back-off when a host asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from entityflow.records import Host

GUESSED_SECONDS = 0.2  # of a request to a host that was not seen before
SMOOTHING = 0.3


class Parked(Exception):
    """The host is not free soon: come back after `seconds`. Neither an attempt nor a fault."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.1f} s")
        self.seconds = seconds


@dataclass(slots=True)
class HostState:
    """`free_at` and `blocked_until` are epoch seconds; `horizon` is when the last parked candidate would get its turn."""

    delay_seconds: float
    blocked_until: float = 0.0
    free_at: float = 0.0
    failures: int = 0
    cause: str | None = None
    request_seconds: float = GUESSED_SECONDS
    horizon: float = 0.0
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Hosts:
    """The state of every host key that this process was given; `clock` gives epoch seconds."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        park_seconds: float,
        backoff_seconds: float,
        max_backoff_seconds: float,
    ) -> None:
        self._clock = clock
        self._park_seconds = park_seconds
        self._backoff_seconds, self._max_backoff_seconds = backoff_seconds, max_backoff_seconds
        self._states: dict[str, HostState] = {}

    def remember(self, key: str, record: Host | None) -> None:
        """What the `host` topic says, from this process or the one before it."""
        if record is None:
            self._states.pop(key, None)
            return
        state = self._state(key, record.delay_seconds)
        state.delay_seconds = record.delay_seconds
        state.blocked_until = max(state.blocked_until, record.blocked_until or 0.0)
        state.failures, state.cause = record.failures, record.cause

    @asynccontextmanager
    async def turn(self, key: str, delay_seconds: float) -> AsyncIterator[HostState]:
        """The host for one request of ours; raises Parked when that would take too long."""
        state = self._state(key, delay_seconds)
        self._park_if_busy(state)
        state.waiting += 1
        try:
            async with asyncio.timeout(2 * self._park_seconds) as limit:
                await state.turn.acquire()
                limit.reschedule(None)
        except TimeoutError as exc:
            raise Parked(self._slot(state)) from exc
        finally:
            state.waiting -= 1
        try:
            if state.blocked_until - self._clock() > self._park_seconds:
                raise Parked(self._slot(state))
            await self.pause(state)
            yield state
        finally:
            state.turn.release()
            self._forget_if_plain(key, state)

    async def pause(self, state: HostState) -> None:
        """Until the next request may start; called by the holder of the turn before each one."""
        while (wait := max(state.free_at, state.blocked_until) - self._clock()) > 0:
            await asyncio.sleep(wait)

    def requested(self, state: HostState, seconds: float) -> None:
        """A request has ended after `seconds`."""
        state.request_seconds += SMOOTHING * (seconds - state.request_seconds)
        state.free_at = self._clock() + state.delay_seconds

    def failed(self, key: str, state: HostState, cause: str, asked_seconds: float | None) -> Host:
        """The host asked for patience, or is in trouble: nobody asks it for a while."""
        own = min(self._backoff_seconds * 2**state.failures, self._max_backoff_seconds)
        state.failures, state.cause = state.failures + 1, cause
        state.blocked_until = self._clock() + (own if asked_seconds is None else asked_seconds)
        return self._record(key, state)

    def went_well(self, key: str, state: HostState) -> Host | None:
        """The record to write where this changed something."""
        if not state.failures:
            return None
        state.failures, state.cause, state.blocked_until = 0, None, 0.0
        return self._record(key, state)

    def _state(self, key: str, delay_seconds: float) -> HostState:
        return self._states.setdefault(key, HostState(delay_seconds))

    def _park_if_busy(self, state: HostState) -> None:
        now = self._clock()
        each = max(state.delay_seconds, state.request_seconds)
        begin = max(state.free_at, state.blocked_until, now)
        if begin - now + state.waiting * each > self._park_seconds:
            raise Parked(self._slot(state))

    def _slot(self, state: HostState) -> float:
        """Seconds until a parked candidate should come back, spread so that not all come back at once."""
        now = self._clock()
        each = max(state.delay_seconds, state.request_seconds)
        begin = max(state.free_at, state.blocked_until, now) + state.waiting * each
        state.horizon = max(state.horizon, begin) + each
        return state.horizon - now

    def _forget_if_plain(self, key: str, state: HostState) -> None:
        """Hosts without anything to remember do not pile up."""
        now = self._clock()
        if not state.waiting and not state.failures and max(state.free_at, state.horizon) <= now:
            self._states.pop(key, None)

    def _record(self, key: str, state: HostState) -> Host:
        return Host(
            host_key=key,
            delay_seconds=state.delay_seconds,
            blocked_until=state.blocked_until or None,
            failures=state.failures,
            cause=state.cause,
            at=self._clock(),
        )
