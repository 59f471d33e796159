"""Addresses from the web: what is requested, what identifies it, and whose server it is.

The request keeps the spelling that it came with; identity is the WHATWG form without fragment, tracking keys and
differences of percent spelling that no server can tell apart. Both are pure functions of the text.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import cache, lru_cache

import ada_url
import tldextract

from entityflow.ids import url_id
from entityflow.networks import is_public_ip

MAX_ADDRESS_CHARACTERS = 8192
MAX_HOST_CHARACTERS = 253
MAX_LABEL_CHARACTERS = 63
DEFAULT_PORTS = {"http": 80, "https": 443}
TRACKING_PREFIXES = ("utm_",)
CLICK_IDS = ("gclid", "gclsrc", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "yclid", "twclid", "igshid")
MAIL_IDS = ("mc_cid", "mc_eid", "_hsenc", "_hsmi", "mkt_tok")
TRACKING_KEYS = frozenset((*CLICK_IDS, *MAIL_IDS))

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class BadAddress(ValueError):
    """Text that is no web address that could be fetched. `reason` is a stable word; `detail` holds no secrets."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class WebAddress:
    """One address: `request` goes on the wire as it is, `canonical` is its identity and the input of `url_id`.

    `host` has no brackets and no trailing dot; `host_key` names whom to be polite to.
    """

    request: str
    canonical: str
    url_id: str
    scheme: str
    host: str
    port: int
    host_key: str

    @property
    def origin(self) -> str:
        """scheme://host[:port]: what a robots.txt speaks for."""
        return f"{self.scheme}://{_authority(self.scheme, self.host, self.port)}"

    @property
    def target(self) -> str:
        """Path and query as they are sent."""
        return self.request[len(self.origin) :]


def parse_address(text: str, base: str | None = None) -> WebAddress:
    """The web address that `text` means on the page `base`; raises BadAddress."""
    parsed = _parse(text, base)
    scheme = parsed.protocol.removesuffix(":")
    if scheme not in DEFAULT_PORTS:
        raise BadAddress("not-web", f"scheme {scheme[:20]!r} is neither http nor https")
    if parsed.username or parsed.password:
        raise BadAddress("credentials-in-address", "user name or password before the host")
    host = checked_host(parsed.hostname)
    port = int(parsed.port) if parsed.port else DEFAULT_PORTS[scheme]
    if port == 0:
        raise BadAddress("bad-address", "port 0")
    origin = f"{scheme}://{_authority(scheme, host, port)}"
    path, query = _repair(parsed.pathname), _repair(parsed.search)
    request = origin + path + query
    if len(request) > MAX_ADDRESS_CHARACTERS:
        raise BadAddress("address-too-long", f"{len(request)} characters, at most {MAX_ADDRESS_CHARACTERS}")
    canonical = origin + same_spelling(path) + same_spelling(without_tracking(query))
    return WebAddress(request, canonical, url_id(canonical), scheme, host, port, host_key(scheme, host, port))


def _parse(text: str, base: str | None) -> ada_url.URL:
    if len(text) > MAX_ADDRESS_CHARACTERS and not text.lstrip()[:5].lower() == "data:":
        raise BadAddress("address-too-long", f"{len(text)} characters, at most {MAX_ADDRESS_CHARACTERS}")
    try:
        return ada_url.URL(text[:MAX_ADDRESS_CHARACTERS], base=base or None)
    except ValueError as exc:  # UnicodeEncodeError of a lone surrogate too
        if base is None and text.strip() and "://" not in text:
            raise BadAddress("relative-address", "no scheme, and no page address to resolve it against") from exc
        raise BadAddress("bad-address", "cannot be parsed as an address") from exc


def checked_host(hostname: str) -> str:
    """The host without brackets and trailing dot; raises BadAddress for what DNS cannot hold."""
    host = hostname.removeprefix("[").removesuffix("]").removesuffix(".")
    if not host or len(host) > MAX_HOST_CHARACTERS:
        raise BadAddress("bad-host", f"host of {len(host)} characters")
    if ":" in host:
        return host
    for label in host.split("."):
        if not 1 <= len(label) <= MAX_LABEL_CHARACTERS:
            raise BadAddress("bad-host", f"label of {len(label)} characters in the host")
    return host


def _authority(scheme: str, host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == DEFAULT_PORTS[scheme] else f"{name}:{port}"


def _repair(part: str) -> str:
    """A % without two hex digits means the character itself."""
    return _STRAY_PERCENT.sub("%25", part)


def same_spelling(part: str) -> str:
    """Encoded unreserved characters as plain ones, other escapes in capitals (RFC 3986, 6.2.2); nothing else."""
    return _PERCENT.sub(_plain_if_unreserved, part)


def _plain_if_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def without_tracking(query: str) -> str:
    """A query (with its `?`) less the keys that only say where a visitor came from; order and spelling stay."""
    if not query:
        return query
    pairs = query[1:].split("&")
    kept = [pair for pair in pairs if not _tracks(pair)]
    if len(kept) == len(pairs):
        return query
    return "?" + "&".join(kept) if kept else ""


def _tracks(pair: str) -> bool:
    key = same_spelling(pair.partition("=")[0]).lower()
    return key in TRACKING_KEYS or key.startswith(TRACKING_PREFIXES)


def host_key(scheme: str, host: str, port: int) -> str:
    """Registrable domain by the public suffix list with its private rules; a host without one is its own key."""
    domain = registrable_domain(host)
    return _authority(scheme, domain, port)


@lru_cache(maxsize=65536)
def registrable_domain(host: str) -> str:
    if is_ip(host):
        return host
    return _public_suffixes()(host).top_domain_under_public_suffix or host


def is_public_suffix(host: str) -> bool:
    """Whether strangers register names right below it: `co.uk`, `github.io`."""
    return not is_ip(host) and _public_suffixes()(host).suffix == host


@cache
def _public_suffixes() -> tldextract.TLDExtract:
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


@lru_cache(maxsize=65536)
def is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=65536)
def is_loopback(host: str) -> bool:
    """Whether the host itself says that it is this machine; a name is not looked up."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return is_ip(host) and ipaddress.ip_address(host).is_loopback


@lru_cache(maxsize=65536)
def is_private(host: str) -> bool:
    """Whether the host names a machine that no web page may send us to, as far as its text tells."""
    if is_ip(host):
        return not is_public_ip(host)
    return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
