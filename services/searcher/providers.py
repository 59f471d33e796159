"""What a search provider is asked and what it answers, whoever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
    entity_id: str = ""
    kind: str = "noun"
    cursor: str | None = None  # what the page before said; only some providers want it


def request_of(query: Query, page: int, per_page: int, cursor: str | None = None) -> Request:
    return Request(
        query.text, query.any_of, query.none_of, query.lang, page, per_page, query.entity_id, query.kind, cursor
    )


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
    """One answer. What the provider does not say is none: how many pages, how many hits in all, whether there is more.

    entries: hits in the answer, those without an address included.
    """

    hits: tuple[Hit, ...]
    pages: int | None = None
    total: int | None = None
    more: bool | None = None
    cursor: str | None = None
    entries: int = 0

    def is_last(self, number: int, per_page: int) -> bool:
        """Whether there is nothing behind this page, by what the provider says, or else by its being empty."""
        if self.pages is not None:
            return number >= self.pages
        if self.more is not None:
            return not self.more
        if self.total is not None and per_page:
            return number * per_page >= self.total
        return not self.entries


class PageTooDeep(Exception):
    """The provider does not go that far: the query has what it has."""


class Provider(Protocol):
    """Answers come as bytes, so that they can be kept and read again."""

    name: str

    def request_id(self, request: Request) -> str:
        """Questions that are equal on the wire have equal ids: the key under which an answer is kept."""

    async def ask(self, request: Request) -> bytes:
        """The answer as it came. Raises PageTooDeep, Retryable (away), Rejected (refuses this query), UserError."""

    def read(self, answer: bytes) -> Page:
        """Raises ValueError for what is no whole answer, Rejected for one of another shape."""
