"""From hits to candidates: addresses that can be fetched, and outcomes for those that cannot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from entityflow.addresses import BadAddress, WebAddress, parse_address
from entityflow.ids import candidate_id, url_id
from entityflow.records import Outcome, Query, Url
from services.searcher.providers import Hit

MAX_ALTERNATES = 8
SHOWN_CHARACTERS = 2048  # of an address that is none


@dataclass(frozen=True, slots=True)
class Candidate:
    url: Url
    host_key: str


def sort_hits(
    hits: Iterable[Hit], query: Query, provider: str, first_rank: int, at: float
) -> tuple[list[Candidate], list[Outcome]]:
    """Candidates in order of rank, each address once; an outcome with its reason for each hit without any address."""
    candidates: dict[str, Candidate] = {}
    refused: dict[str, Outcome] = {}
    for rank, hit in enumerate(hits, first_rank):
        addresses, reason = _addresses(hit)
        if addresses:
            candidates.setdefault(addresses[0].url_id, _candidate(hit, addresses, query, provider, rank))
        elif reason is not None:
            outcome = _outcome(hit, reason, query, provider, rank, at)
            refused.setdefault(outcome.url_id, outcome)
    return list(candidates.values()), list(refused.values())


def _addresses(hit: Hit) -> tuple[list[WebAddress], BadAddress | None]:
    """Every address of the hit that can be fetched, and what is wrong with the first that cannot."""
    good: dict[str, WebAddress] = {}
    reason = None
    for text in (hit.address, *hit.alternates[:MAX_ALTERNATES]):
        try:
            address = parse_address(text, hit.page_url)
        except BadAddress as exc:
            reason = reason or exc
        else:
            good.setdefault(address.url_id, address)
    return list(good.values()), reason


def _candidate(hit: Hit, addresses: list[WebAddress], query: Query, provider: str, rank: int) -> Candidate:
    first = addresses[0]
    url = Url(
        candidate_id=candidate_id(first.url_id, query.id),
        url_id=first.url_id,
        address=first.request,
        alternates=tuple(address.request for address in addresses[1:]),
        page_url=_page(hit.page_url),
        query_id=query.id,
        entity_id=query.entity_id,
        round=query.round,
        provider=provider,
        rank=rank,
        title=hit.title,
        alt_text=hit.alt_text,
        description=hit.description,
        width=hit.width,
        height=hit.height,
        license=hit.license,
        creator=hit.creator,
    )
    return Candidate(url, first.host_key)


def _page(text: str | None) -> str | None:
    try:
        return parse_address(text).request if text else None
    except BadAddress:
        return None


def _outcome(hit: Hit, reason: BadAddress, query: Query, provider: str, rank: int, at: float) -> Outcome:
    identity = url_id(hit.address)
    return Outcome(
        candidate_id=candidate_id(identity, query.id),
        url_id=identity,
        query_id=query.id,
        entity_id=query.entity_id,
        round=query.round,
        rank=rank,
        provider=provider,
        address=hit.address[:SHOWN_CHARACTERS],
        stage="searcher",
        result=reason.reason,
        detail=reason.detail,
        at=at,
    )
