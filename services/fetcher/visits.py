"""One visit to one host: robots.txt, the request and its redirects within the host, the permission that it states."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from entityflow.addresses import BadAddress, WebAddress, parse_address
from entityflow.http import FetchFailed, Response, WebClient
from entityflow.metrics import FETCH_ANSWERS, FETCH_DENIALS, FETCH_SECONDS
from entityflow.records import Host
from services.fetcher.bodies import Lease, check_head, unpacked
from services.fetcher.lists import OperatorLists
from services.fetcher.pace import Terms
from services.fetcher.permission import Judgement, judge_answer
from services.fetcher.politeness import Hosts, HostState
from services.fetcher.questions import Questions, Unanswered
from services.fetcher.retry_after import retry_after_seconds
from services.fetcher.robots import Robots
from services.fetcher.robots_cache import THROTTLED, AskedForPatience, RobotsCache
from services.fetcher.tdm import TdmRule

ACCEPT = "image/jpeg, image/png, image/webp, image/gif, image/avif, */*;q=0.1"
NOT_FOUND = (404, 410)
FORBIDDEN = (401, 402, 403, 407, 451)
NOT_YET = (408, 425)
# transient faults that say something about the host; the others may be of one address
OF_THE_HOST = frozenset(("connection-failed", "dns-failure", "robots-unavailable"))


@dataclass(slots=True)
class Visit:
    """How it went. `trail`: the addresses that were asked, the last one gave `body`, `moved_to` or `failure`."""

    trail: list[WebAddress] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    milliseconds: dict[str, float] = field(default_factory=dict)
    body: bytes | None = None
    image_id: str | None = None
    moved_to: WebAddress | None = None
    failure: FetchFailed | None = None
    wait_seconds: float = 0.0
    host: Host | None = None

    @asynccontextmanager
    async def timed(self, step: str) -> AsyncIterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.spent(step, time.perf_counter() - began)

    def spent(self, step: str, seconds: float) -> None:
        FETCH_SECONDS.labels(step).observe(seconds)
        self.milliseconds[step] = round(self.milliseconds.get(step, 0.0) + seconds * 1000, 3)


@dataclass(frozen=True, slots=True)
class VisitLimits:
    """`terms`: what hosts are offered; `local_terms`: those of the resolve map and of this machine."""

    terms: Terms
    local_terms: Terms
    max_bytes: int
    max_hops: int
    ask_tdmrep: bool = True
    own_terms: Mapping[str, Terms] = field(default_factory=dict)

    def terms_of(self, host_key: str, *, local: bool) -> Terms:
        return self.own_terms.get(host_key) or (self.local_terms if local else self.terms)


class Visitor:
    """`is_known`: addresses that need no request; a redirect to one ends the visit there."""

    def __init__(
        self,
        web: WebClient,
        hosts: Hosts,
        robots: RobotsCache,
        limits: VisitLimits,
        clock: Callable[[], float],
        is_known: Callable[[WebAddress], bool],
        lists: OperatorLists | None = None,
        opt_out: Questions | None = None,
    ) -> None:
        self._web, self._hosts, self._robots, self._limits = web, hosts, robots, limits
        self._clock, self._is_known = clock, is_known
        self._lists, self._opt_out = lists or OperatorLists(), opt_out

    async def visit(self, address: WebAddress, hops: int, lease: Lease) -> Visit:
        """`hops` redirects came before. Raises Parked or HostDown when the host has no turn for us soon."""
        visit = Visit()
        if refusal := self._web.reach.refusal(address):
            visit.trail.append(address)
            visit.failure = FetchFailed(refusal, address.host)
            return visit
        terms = self._limits.terms_of(address.host_key, local=self._web.reach.is_local(address))
        arrived = time.perf_counter()
        async with self._hosts.turn(address.host_key, terms) as state:
            visit.spent("wait", time.perf_counter() - arrived)
            try:
                await self._follow(visit, address, hops, lease, state)
            except FetchFailed as failure:
                visit.failure = failure
            self._learn_of_host(visit, address.host_key, state)
        return visit

    def _learn_of_host(self, visit: Visit, key: str, state: HostState) -> None:
        """A fault that only concerns one address shows that its host is well."""
        if visit.host is not None:
            return
        failure = visit.failure
        if failure is None or not failure.transient:
            visit.host = self._hosts.went_well(key, state)
        elif failure.reason in OF_THE_HOST:
            visit.host = self._hosts.stumbled(key, state, failure.reason)

    async def _follow(self, visit: Visit, address: WebAddress, hops: int, lease: Lease, state: HostState) -> None:
        """Requests until there is a body, or an address of another host or a known one to go on with."""
        while True:
            visit.trail.append(address)
            await self._obey_lists(visit, address)
            robots = await self._obey_robots(visit, address, state)
            location = await self._request(visit, address, lease, state, robots.tdm_rule(address))
            if location is None:
                return
            hops += 1
            target = self._redirect(visit, address, location, hops)
            if target.host_key != address.host_key or self._is_known(target):
                visit.moved_to = target
                return
            address = target
            await self._hosts.pause(state)

    def _redirect(self, visit: Visit, address: WebAddress, location: str, hops: int) -> WebAddress:
        if hops > self._limits.max_hops:
            raise FetchFailed("too-many-redirects", f"more than {self._limits.max_hops}")
        try:
            target = parse_address(location, address.request)
        except BadAddress as exc:
            raise FetchFailed("bad-redirect", str(exc)) from exc
        if any(target.canonical == past.canonical and target.request == past.request for past in visit.trail):
            raise FetchFailed("redirect-loop", target.request[:200])
        if refusal := self._web.reach.refusal(target):
            raise FetchFailed(refusal, target.host)
        if self._web.reach.is_local(target) and not self._web.reach.is_local(address):
            raise FetchFailed("private-address", target.host)
        return target

    # --- permission before the request ---

    async def _obey_lists(self, visit: Visit, address: WebAddress) -> None:
        refused = self._lists.refusal(address)
        if refused is None and await self._is_opted_out(address):
            refused = Judgement("opted-out", ("opt-out service: this address",))
        if refused is not None:
            FETCH_DENIALS.labels("list").inc()
            visit.evidence += refused.evidence
            raise FetchFailed(refused.reason or "", refused.evidence[0])

    async def _is_opted_out(self, address: WebAddress) -> bool:
        try:
            return self._opt_out is not None and await self._opt_out.ask(address.request)
        except Unanswered as exc:
            raise FetchFailed("opt-out-unknown", str(exc), transient=True) from exc

    async def _obey_robots(self, visit: Visit, address: WebAddress, state: HostState) -> Robots:
        robots = self._robots.known(address)
        if robots is None:
            async with visit.timed("robots"):
                robots = await self._ask_robots(visit, address, state)
        visit.evidence += [note for note in robots.notes if note not in visit.evidence]
        if robots.unavailable:
            raise FetchFailed(robots.unavailable, robots.source, transient=True)
        state.pace.declared(robots.crawl_delay)
        if (refusal := robots_refusal(robots, address)) is not None:
            FETCH_DENIALS.labels("robots").inc()
            visit.evidence.append(refusal[1])
            raise FetchFailed(refusal[0], refusal[1])
        visit.evidence.append(f"{robots.source}: allowed" if robots.rules else robots.source)
        if robots.tdm is None and self._limits.ask_tdmrep:
            async with visit.timed("robots"):
                robots = await self._ask_tdm(visit, address, robots, state)
        return robots

    async def _ask_tdm(self, visit: Visit, address: WebAddress, robots: Robots, state: HostState) -> Robots:
        began = self._clock()
        try:
            robots = await self._robots.ask_tdm(address, robots)
        except AskedForPatience as exc:
            self._block(visit, address, state, "throttled", exc.retry_after)
            raise FetchFailed("throttled", "tdmrep.json", transient=True) from exc
        finally:
            self._hosts.requested(state, self._clock() - began)
        await self._hosts.pause(state)
        return robots

    async def _ask_robots(self, visit: Visit, address: WebAddress, state: HostState) -> Robots:
        began = self._clock()
        try:
            asked = await self._robots.ask(address)
        finally:
            self._hosts.requested(state, self._clock() - began)
        if asked.robots.unavailable == "robots-unavailable":
            self._block(visit, address, state, "robots-unavailable", asked.retry_after)
        state.pace.declared(asked.robots.crawl_delay)
        if asked.robots.crawl_delay:
            state.free_at = max(state.free_at, self._clock() + asked.robots.crawl_delay)
        if not asked.robots.unavailable:
            await self._hosts.pause(state)
        return asked.robots

    # --- the request ---

    async def _request(
        self, visit: Visit, address: WebAddress, lease: Lease, state: HostState, rule: TdmRule | None
    ) -> str | None:
        """The Location of a redirect; none when `visit.body` is there."""
        began = self._clock()
        try:
            async with visit.timed("request"), self._web.get(address, ACCEPT) as response:
                return await self._take(visit, address, response, lease, state, rule)
        finally:
            self._hosts.requested(state, self._clock() - began, len(visit.body or b""))

    async def _take(
        self,
        visit: Visit,
        address: WebAddress,
        response: Response,
        lease: Lease,
        state: HostState,
        rule: TdmRule | None,
    ) -> str | None:
        FETCH_ANSWERS.labels("429" if response.status == 429 else f"{response.status // 100}xx").inc()
        if response.status in THROTTLED:
            self._block(visit, address, state, "throttled", response.headers.get("Retry-After"))
        moved = 300 <= response.status < 400 and response.status != 304
        if moved and not response.location:
            raise FetchFailed("bad-redirect", f"status {response.status} without Location")
        if not moved:
            raise_for_status(response.status)
        judgement = judge_answer(response.headers.items(), rule)
        visit.evidence += judgement.evidence
        if judgement.reason:
            FETCH_DENIALS.labels("answer").inc()
            raise FetchFailed(judgement.reason, "; ".join(judgement.evidence)[:200])
        if moved:
            return response.location
        visit.body = await self._body(response, lease)
        return None

    async def _body(self, response: Response, lease: Lease) -> bytes:
        encoding = response.headers.get("Content-Encoding", "")
        max_bytes = self._limits.max_bytes
        await lease.reserve(min(response.promised_bytes or max_bytes, max_bytes))
        body = await response.body(max_bytes, lambda head: check_head(head, encoding))
        if not body:
            raise FetchFailed("empty", "no bytes")
        return unpacked(body, encoding, max_bytes)

    def _block(self, visit: Visit, address: WebAddress, state: HostState, cause: str, retry_after: str | None) -> None:
        asked = retry_after_seconds(retry_after, self._clock())
        visit.host = self._hosts.failed(address.host_key, state, cause, asked)
        visit.wait_seconds = self._hosts.blocked_seconds(state)


def robots_refusal(robots: Robots, address: WebAddress) -> tuple[str, str] | None:
    """(reason, evidence) where robots.txt says no."""
    if not robots.allows(address):
        return "robots-denied", f"robots.txt: disallows {address.target[:200]}"
    if said := robots.ai_refusal(address):
        return "opted-out", said
    return None


def raise_for_status(status: int) -> None:
    """FetchFailed for everything but an answer with a body."""
    detail = f"status {status}"
    if status in (204, 205):
        raise FetchFailed("empty", detail)
    if 200 <= status < 300:
        return
    if status in THROTTLED:
        raise FetchFailed("throttled", detail, transient=True)
    if status >= 500 or status in NOT_YET:
        raise FetchFailed("server-error", detail, transient=True)
    if status in NOT_FOUND:
        raise FetchFailed("not-found", detail)
    if status in FORBIDDEN:
        raise FetchFailed("forbidden", detail)
    raise FetchFailed("client-error", detail)
