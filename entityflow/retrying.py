"""Which failed candidates are sent again: those whose outcome says so, as they were first offered.

A candidate keeps its ids and its round: coverage counts rounds of searching, and this is none. `refetch` makes the
fetcher ask although the address is known. Until the new try has ended, the old outcome counts; then the newer one does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from entityflow.addresses import BadAddress, WebAddress, parse_address
from entityflow.outcomes import prevails
from entityflow.reasons import FETCHER, FILTER
from entityflow.records import Origin, Outcome, Record, Url
from entityflow.stage import Message, Send
from entityflow.tombstones import FORGOTTEN

REFUSALS = frozenset(("forbidden", "opted-out", "robots-denied", "tdm-reserved"))
RETRYABLE = {word: why for word, why in {**FETCHER, **FILTER}.items() if word != FORGOTTEN}


@dataclass(frozen=True, slots=True)
class Failed:
    """A candidate by the last thing that is known of it."""

    host: str | None
    address: str | None
    at: float
    url_origin: Origin | None


@dataclass(slots=True)
class Offer:
    """A candidate as it was first offered; when its newest record was written, and the one that it ended with."""

    url: Url
    first_ms: int
    newest_ms: int
    ended_ms: int | None = None

    @property
    def is_under_way(self) -> bool:
        return self.ended_ms is not None and self.newest_ms > self.ended_ms


def failed_candidates(
    outcomes: Iterable[Outcome], reason: str, host: str | None = None, since: float | None = None
) -> dict[str, Failed]:
    """Candidates that ended with the reason, by id: the newest outcome of each counts, unless it had been accepted."""
    results: dict[str, str] = {}
    found: dict[str, Failed] = {}
    for outcome in outcomes:
        candidate = outcome.candidate_id
        result = prevails(results.get(candidate), outcome.result)
        results[candidate] = result
        if result == outcome.result == reason:
            found[candidate] = Failed(outcome.host, outcome.address, outcome.at, outcome.url_origin)
        elif result != reason:
            found.pop(candidate, None)
    return {
        candidate: failed
        for candidate, failed in found.items()
        if (since is None or failed.at >= since) and (host is None or is_at(failed, host))
    }


def is_at(failed: Failed, host: str) -> bool:
    """Whether the address lies at the host or below it; a host key with a port is meant exactly."""
    wanted = host.strip().rstrip(".").lower()
    if failed.host == wanted:
        return True
    name = _host_name(failed.address)
    return name is not None and (name == wanted or name.endswith(f".{wanted}"))


def offers(messages: Iterable[tuple[Message, Record | None]], failed: Mapping[str, Failed]) -> dict[str, Offer]:
    """The offers of these candidates by id, from everything that lies on `url`."""
    found: dict[str, Offer] = {}
    for message, record in messages:
        if not isinstance(record, Url) or record.candidate_id not in failed:
            continue
        at = message.timestamp_ms
        offer = found.setdefault(record.candidate_id, Offer(record, at, at))
        if at < offer.first_ms:
            offer.url, offer.first_ms = record, at
        offer.newest_ms = max(offer.newest_ms, at)
        if message.origin == failed[record.candidate_id].url_origin:
            offer.ended_ms = at
    return found


def retries(failed: Iterable[str], offered: Mapping[str, Offer]) -> tuple[list[Send], Counter[str]]:
    """What goes to `url`, and how many do not: `gone` from it, `under-way` already, `no-address`."""
    sends: list[Send] = []
    left_out: Counter[str] = Counter()
    for candidate in failed:
        offer = offered.get(candidate)
        if offer is None:
            left_out["gone"] += 1
        elif offer.is_under_way:
            left_out["under-way"] += 1
        elif (address := _address(offer.url)) is None:
            left_out["no-address"] += 1
        else:
            again = replace(offer.url, refetch=True, hop=0, tried=())
            sends.append(Send("url", again, key=address.host_key))
    return sends, left_out


def _address(url: Url) -> WebAddress | None:
    try:
        return parse_address(url.address, url.page_url)
    except BadAddress:
        return None


def _host_name(address: str | None) -> str | None:
    try:
        return parse_address(address).host if address else None
    except BadAddress:
        return None
