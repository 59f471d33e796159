"""What must be forgotten, by hashes alone, and whether an address, a page or a picture is covered.

A url or page tombstone covers every spelling with the same canonical form; a host covers its subdomains at every port,
pictures that lie there and pictures of pages that lie there. Only a hash is kept: nobody can read from it what it was.
"""

from __future__ import annotations

import re
from functools import lru_cache

from entityflow.addresses import BadAddress, WebAddress, is_ip, is_public_suffix, parse_address
from entityflow.errors import UsageError
from entityflow.ids import content_id
from entityflow.records import Image, Record, Tombstone, Url

FORGOTTEN = "forgotten"  # the reason of a candidate that is refused
SHA256, URL, PAGE, HOST = KINDS = ("sha256", "url", "page", "host")
_HEX = re.compile(r"[0-9a-f]{64}")


def tombstone_of(kind: str, text: str, at: float) -> Tombstone:
    """The tombstone for what a person named. Raises UsageError where it names nothing."""
    value = {SHA256: _digest, URL: _address, PAGE: _address, HOST: _host}[kind](kind, text.strip())
    return Tombstone(id=content_id(kind, value), kind=kind, value=value, at=at)


def _digest(kind: str, text: str) -> str:
    if not _HEX.fullmatch(text.lower()):
        raise UsageError(
            f"--{kind} {text!r} is no SHA-256: 64 digits and letters a to f",
            hint="it is the key of a sample, the SHA-256 of the file as it was downloaded",
        )
    return text.lower()


def _address(kind: str, text: str) -> str:
    try:
        return parse_address(text).url_id
    except BadAddress as exc:
        raise UsageError(f"--{kind} {text!r} is no web address: {exc}", hint="give it whole, with http(s)://") from exc


def _host(kind: str, text: str) -> str:
    try:
        found = parse_address(text if "://" in text else f"http://{text}/")
    except BadAddress as exc:
        raise UsageError(f"--{kind} {text!r} is no host name: {exc}", hint="for instance images.example.org") from exc
    if re.search(r"[/?#]|:\d+$", text) and not is_ip(text):
        raise UsageError(f"--{kind} {text!r} is more than a host name", hint=f"for instance --host {found.host}")
    if is_public_suffix(found.host):
        raise UsageError(
            f"--{kind} {text!r} is a suffix under which strangers register names",
            hint="name each host; a host covers its own subdomains",
        )
    return content_id(found.host)


class Tombstones:
    """The ids of all tombstones. Each question gives the id of one that covers what is asked about, or none."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def __contains__(self, tombstone_id: str) -> bool:
        return tombstone_id in self._kinds

    def learn(self, key: str, record: Record | None, _message: object = None) -> None:
        """A record of the topic `tombstone`; a deleted key is remembered no more."""
        if isinstance(record, Tombstone):
            self._kinds[record.id] = record.kind
        else:
            self._kinds.pop(key, None)

    def of_picture(self, image_id: str) -> str | None:
        return self._first(content_id(SHA256, image_id)) if self._kinds else None

    def of_address(self, address: WebAddress) -> str | None:
        """By the address itself, or by its host."""
        if not self._kinds:
            return None
        return self._first(content_id(URL, address.url_id), *_host_ids(address.host))

    def of_page(self, address: WebAddress) -> str | None:
        if not self._kinds:
            return None
        return self._first(content_id(PAGE, address.url_id), *_host_ids(address.host))

    def of_host(self, host: str) -> str | None:
        return self._first(*_host_ids(host)) if self._kinds else None

    def of_source(self, url: str | None, page_url: str | None) -> str | None:
        """A source of a sample: where the picture was, and the page that showed it."""
        if not self._kinds:
            return None
        address, page = as_address(url), as_address(page_url)
        return (address and self.of_address(address)) or (page and self.of_page(page)) or None

    def of_candidate(self, record: Url) -> str | None:
        """By its first address, the one it is at now, every one that was tried on the way, or its page."""
        if not self._kinds:
            return None
        by_id = self._first(content_id(URL, record.url_id))
        sources = (self.of_source(url, record.page_url) for url in (record.address, *record.tried))
        return by_id or next(filter(None, sources), None)

    def of_image(self, image: Image) -> str | None:
        """A picture or a sighting: by its bytes, where they came from, or its candidate."""
        if not self._kinds:
            return None
        return (
            self.of_picture(image.image_id)
            or self.of_source(image.final_url, image.candidate.page_url)
            or self.of_candidate(image.candidate)
        )

    def _first(self, *ids: str) -> str | None:
        return next((one for one in ids if one in self._kinds), None)


@lru_cache(maxsize=4096)
def _host_ids(host: str) -> tuple[str, ...]:
    """Tombstones that would cover a host: its own, and those of the domains above it."""
    labels = [host] if is_ip(host) else host.split(".")
    return tuple(content_id(HOST, content_id(".".join(labels[at:]))) for at in range(len(labels)))


def as_address(text: str | None) -> WebAddress | None:
    """None for what is no address: nobody could have asked it."""
    if not text:
        return None
    try:
        return parse_address(text)
    except BadAddress:
        return None
