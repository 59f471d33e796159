"""What becomes of one candidate: an image, a sighting, another try, its next address, or the reason why it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

import structlog

from entityflow.addresses import BadAddress, WebAddress, parse_address
from entityflow.http import FetchFailed
from entityflow.ids import image_id
from entityflow.metrics import FETCH_BYTES, FETCH_KNOWN_BAD, FETCH_PARKED, OUTCOMES
from entityflow.pictures import BadPicture, StoredPicture
from entityflow.records import MAX_EVIDENCE, Address, Host, Image, Outcome, Permission, Url
from entityflow.stage import Received, Send
from entityflow.tombstones import FORGOTTEN, Tombstones
from entityflow.topics import RETRY_TOPICS
from services.fetcher.bad_hashes import BadHashes
from services.fetcher.bodies import ByteBudget
from services.fetcher.known import KnownAddresses
from services.fetcher.lists import OperatorLists
from services.fetcher.politeness import HostDown, Parked
from services.fetcher.questions import Unanswered
from services.fetcher.visits import Visit, Visitor

DAY = 86_400.0
OF_PERMISSION = frozenset(("robots-denied", "opted-out", "tdm-reserved"))
# reasons that a change of settings would lift: the address may be asked again at once
OF_SETTINGS = frozenset(
    ("no-contact", "private-address", "too-many-bytes", "host-denied", "license-refused", "forbidden-port")
)


@dataclass(frozen=True, slots=True)
class Policy:
    retry_seconds: tuple[float, ...]
    max_attempts: int
    max_age_seconds: float  # waited after tries that failed; parking does not count
    reason_days: float
    permission_days: float
    exhausted_days: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """A candidate at one of its addresses, and what it cost so far."""

    received: Received[Url]
    address: WebAddress
    visit: Visit

    @property
    def record(self) -> Url:
        return self.received.record

    @property
    def partition(self) -> int:
        return self.received.message.partition


class Candidates:
    """The step of the fetching stage. What it sends before it returns is acknowledged before what it returns."""

    def __init__(
        self,
        visitor: Visitor,
        known: KnownAddresses,
        tombstones: Tombstones,
        lists: OperatorLists,
        bad_hashes: BadHashes,
        budget: ByteBudget,
        decode: Callable[[bytes], Awaitable[StoredPicture]],
        send: Callable[[Iterable[Send]], Awaitable[None]],
        policy: Policy,
        clock: Callable[[], float],
    ) -> None:
        self._visitor, self._known, self._tombstones, self._lists = visitor, known, tombstones, lists
        self._bad_hashes, self._budget = bad_hashes, budget
        self._decode, self._send, self._policy, self._clock = decode, send, policy, clock

    async def step(self, received: Received[Url]) -> list[Send]:
        record = received.record
        try:
            address = parse_address(record.address, record.page_url)
        except BadAddress as exc:
            return self._go_on(received, None, Visit(failure=FetchFailed(exc.reason, exc.detail)))
        if self._tombstones.of_candidate(record):
            return self._forgotten(received, address)
        if refused := self._lists.license_refusal(record.license) or self._lists.refusal(address):
            failure = FetchFailed(refused.reason or "", refused.evidence[0])
            return self._go_on(received, address, Visit(failure=failure))
        key = received.message.key
        if key is not None and key != address.host_key.encode():
            return [to_url(record, address, received.message.attempt, received.message.waited)]
        async with self._known.exclusive(address.url_id):
            entry = None if record.refetch else self._known.find(address.url_id)
            if entry is not None:
                return self._from_known(received, address, entry)
            return await self._ask(received, address)

    # --- without a request ---

    def _from_known(self, received: Received[Url], address: WebAddress, entry: Address) -> list[Send]:
        if entry.image_id is not None:
            sighting = Image(
                image_id=entry.image_id,
                final_url=entry.final_url,
                permission=entry.permission or Permission(decision="allowed"),
                candidate=received.record,
                url_origin=received.message.origin,
            )
            if self._tombstones.of_image(sighting):
                return self._forgotten(received, address)
            return [Send("image", sighting)]
        if entry.reason is not None:
            failure = FetchFailed(entry.reason, "known from an earlier try")
            return self._go_on(received, address, Visit(failure=failure))
        return self._hop(received, address, parse_address(entry.final_url or ""))

    # --- with requests ---

    async def _ask(self, received: Received[Url], address: WebAddress) -> list[Send]:
        try:
            async with self._budget.lease() as lease:
                visit = await self._visitor.visit(address, received.record.hop, lease)
                picture = await self._picture(visit)
        except Parked as parked:
            FETCH_PARKED.labels(RETRY_TOPICS[parked.tier]).inc()
            message = received.message
            return [retry(RETRY_TOPICS[parked.tier], received.record, address, message.attempt, message.waited)]
        except HostDown as down:
            visit, picture = Visit(failure=FetchFailed(down.cause, "the host is left alone", transient=True)), None
        attempt = Attempt(received, address, visit)
        if picture is not None:
            return await self._accept(attempt, picture)
        if visit.moved_to is not None:
            return await self._move(attempt, visit.moved_to)
        return await self._fail(attempt)

    async def _picture(self, visit: Visit) -> tuple[str, StoredPicture] | None:
        """(image_id, picture); a body that is none becomes the failure of the visit."""
        if visit.body is None:
            return None
        FETCH_BYTES.inc(len(visit.body))
        identity = image_id(visit.body)
        try:
            if await self._bad_hashes.holds(visit.body, identity):
                self._keep_nothing(visit, identity)
                return None
            async with visit.timed("decode"):
                return identity, await self._decode(visit.body)
        except Unanswered as exc:
            visit.failure = FetchFailed("bad-hash-unknown", str(exc), transient=True)
        except BadPicture as exc:
            visit.failure = FetchFailed(exc.reason, exc.detail)
        return None

    def _keep_nothing(self, visit: Visit, identity: str) -> None:
        FETCH_KNOWN_BAD.inc()
        visit.image_id, visit.body = identity, None
        visit.failure = FetchFailed("known-bad", f"sha256 {identity}")
        structlog.get_logger().error("known_bad", image_id=identity, host=visit.trail[-1].host)

    async def _accept(self, attempt: Attempt, found: tuple[str, StoredPicture]) -> list[Send]:
        """The image first; when it is acknowledged, its addresses are known."""
        identity, picture = found
        permission = Permission(decision="allowed", evidence=evidence(attempt.visit))
        final = attempt.visit.trail[-1].request
        image = Image(
            image_id=identity,
            payload=picture.payload,
            format=picture.format,
            width=picture.width,
            height=picture.height,
            original=picture.original,
            final_url=final,
            permission=permission,
            candidate=attempt.record,
            url_origin=attempt.received.message.origin,
        )
        if self._tombstones.of_image(image):
            return host_sends(attempt) + self._forgotten(attempt.received, attempt.address)
        await self._send([Send("image", image)])
        entries = [
            Address(url_id=url_id, image_id=identity, final_url=final, permission=permission)
            for url_id in trail_ids(attempt.visit)
        ]
        await self._learn(attempt, entries)
        return host_sends(attempt)

    async def _move(self, attempt: Attempt, target: WebAddress) -> list[Send]:
        """On to another host, or to an address whose answer is known; what led there is remembered."""
        expires = self._clock() + self._policy.reason_days * DAY
        entries = [
            Address(url_id=url_id, final_url=target.request, expires=expires) for url_id in trail_ids(attempt.visit)
        ]
        await self._learn(attempt, entries)
        return host_sends(attempt) + self._hop(attempt.received, attempt.address, target)

    async def _fail(self, attempt: Attempt) -> list[Send]:
        failure, visit = attempt.visit.failure, attempt.visit
        assert failure is not None
        tries = attempt.received.message.attempt + 1
        tier = self._tier(tries - 1, visit.wait_seconds)
        age = attempt.received.message.waited + self._policy.retry_seconds[tier]
        if failure.transient and tries < self._policy.max_attempts and age <= self._policy.max_age_seconds:
            return [*host_sends(attempt), retry(RETRY_TOPICS[tier], attempt.record, attempt.address, tries, age)]
        if failure.reason not in OF_SETTINGS:
            expires = self._clock() + self._days(failure) * DAY
            denied = failure.reason in OF_PERMISSION
            permission = Permission(decision="denied", evidence=evidence(visit)) if denied else None
            ids = trail_ids(visit) or [attempt.address.url_id]
            await self._learn(
                attempt,
                [Address(url_id=i, reason=failure.reason, permission=permission, expires=expires) for i in ids],
            )
        return host_sends(attempt) + self._go_on(attempt.received, attempt.address, visit)

    def _days(self, failure: FetchFailed) -> float:
        if failure.transient:
            return self._policy.exhausted_days
        return self._policy.permission_days if failure.reason in OF_PERMISSION else self._policy.reason_days

    def _tier(self, tries: int, wait_seconds: float) -> int:
        """A retry topic: each try waits in the next longer one, and no shorter than the host asked for."""
        long_enough = [n for n, delay in enumerate(self._policy.retry_seconds) if delay >= wait_seconds]
        asked = min(long_enough, default=len(RETRY_TOPICS) - 1)
        return min(max(tries, asked), len(RETRY_TOPICS) - 1)

    async def _learn(self, attempt: Attempt, entries: list[Address]) -> None:
        await self._send(Send("address", entry, partition=attempt.partition) for entry in entries)
        for entry in entries:
            self._known.learn(entry.url_id, entry, attempt.partition)

    # --- to the next address, or the end ---

    def _hop(self, received: Received[Url], address: WebAddress, target: WebAddress) -> list[Send]:
        record = received.record
        if target.request in record.tried:
            return self._go_on(received, address, Visit(failure=FetchFailed("redirect-loop", target.request[:200])))
        tried = (*record.tried, address.request)
        return [to_url(replace(record, address=target.request, hop=record.hop + 1, tried=tried), target)]

    def _go_on(self, received: Received[Url], address: WebAddress | None, visit: Visit) -> list[Send]:
        """With the next alternate, under the id of the first address; without one the candidate has ended."""
        record = received.record
        tried = (*record.tried, address.request if address else record.address[:200])
        for number, text in enumerate(record.alternates):
            try:
                alternate = parse_address(text, record.page_url)
            except BadAddress:
                continue
            if alternate.request not in tried:
                rest = record.alternates[number + 1 :]
                return [
                    to_url(replace(record, address=alternate.request, alternates=rest, tried=tried, hop=0), alternate)
                ]
        return [Send("outcome", self._outcome(received, address, visit))]

    def _forgotten(self, received: Received[Url], address: WebAddress) -> list[Send]:
        """The end, alternates too: they show the same picture. The outcome does not repeat the address."""
        outcome = self._outcome(received, address, Visit(failure=FetchFailed(FORGOTTEN, "")))
        return [Send("outcome", replace(outcome, address=None, host=None))]

    def _outcome(self, received: Received[Url], address: WebAddress | None, visit: Visit) -> Outcome:
        record, failure = received.record, visit.failure
        assert failure is not None
        OUTCOMES.labels("fetcher", failure.reason).inc()
        return Outcome(
            candidate_id=record.candidate_id,
            url_id=record.url_id,
            query_id=record.query_id,
            entity_id=record.entity_id,
            round=record.round,
            rank=record.rank,
            provider=record.provider,
            host=address.host_key if address else None,
            address=printable(record.address),
            stage="fetcher",
            result=failure.reason,
            url_origin=received.message.origin,
            image_id=visit.image_id,
            bytes=len(visit.body) if visit.body else None,
            milliseconds=visit.milliseconds,
            detail=printable(failure.detail),
            at=self._clock(),
        )


def to_url(record: Url, address: WebAddress, attempt: int = 0, waited: float = 0.0) -> Send:
    return Send("url", record, key=address.host_key, attempt=attempt, waited=waited)


def retry(topic: str, record: Url, address: WebAddress, attempt: int, waited: float) -> Send:
    return Send(topic, record, key=address.host_key, attempt=attempt, waited=waited)


def host_sends(attempt: Attempt) -> list[Send]:
    host: Host | None = attempt.visit.host
    return [Send("host", host, partition=attempt.partition)] if host else []


def trail_ids(visit: Visit) -> list[str]:
    return list(dict.fromkeys(address.url_id for address in visit.trail))


def evidence(visit: Visit) -> tuple[str, ...]:
    return tuple(printable(item) for item in dict.fromkeys(visit.evidence))[:MAX_EVIDENCE]


def printable(text: str) -> str:
    """At most 300 characters that any encoding can hold."""
    return text[:300].encode("utf-8", "backslashreplace").decode()
