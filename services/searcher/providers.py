"""What a search provider is asked and what it answers, whoever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from entityflow.ids import content_id
from entityflow.records import License, Query


@dataclass(frozen=True, slots=True)
class Request:
    """One page of one query. Words in `any_of` may be used to rank, those in `none_of` to exclude."""

    text: str
    any_of: tuple[str, ...]
    none_of: tuple[str, ...]
    lang: str
    page: int  # from 1
    per_page: int

    def id(self, provider: str) -> str:
        """Equal questions have equal ids: the key under which an answer is kept."""
        words = ["any", *self.any_of, "none", *self.none_of]
        return content_id(provider, self.text, self.lang, str(self.page), str(self.per_page), *words)


def request_of(query: Query, page: int, per_page: int) -> Request:
    return Request(query.text, query.any_of, query.none_of, query.lang, page, per_page)


@dataclass(frozen=True, slots=True)
class Hit:
    """One picture offered. Nothing is needed but the address; what is missing is unknown."""

    address: str
    alternates: tuple[str, ...] = ()
    title: str | None = None
    alt_text: str | None = None
    description: str | None = None
    page_url: str | None = None
    width: int | None = None
    height: int | None = None
    license: License | None = None
    creator: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One answer. `pages`: how many there are, none where the provider does not say."""

    hits: tuple[Hit, ...]
    pages: int | None = None


class PageTooDeep(Exception):
    """The provider does not go that far: the query has what it has."""


class Provider(Protocol):
    """Answers come as bytes, so that they can be kept and read again."""

    name: str

    async def ask(self, request: Request) -> bytes:
        """The answer as it came. Raises PageTooDeep, Retryable (away), Rejected (refuses this query), UserError."""

    def read(self, answer: bytes) -> Page:
        """Raises ValueError for what is no whole answer."""
