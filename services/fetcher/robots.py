"""robots.txt by RFC 9309: from the bytes of an answer to a decision with its evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from protego import Protego

from entityflow.addresses import WebAddress
from entityflow.http import PRODUCT
from services.fetcher.tdm import TdmRule, rule_for
from services.fetcher.usage import NAMES as USAGE_NAMES
from services.fetcher.usage import refusal

MAX_ROBOTS_BYTES = 500 << 10
MAX_CRAWL_DELAY_SECONDS = 300.0

_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_TOKEN = re.compile(r"[A-Za-z_-]+|\*")
_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)
_ASCII = "".join(map(chr, range(33, 127)))
_AGENT_NAMES = ("user-agent", "useragent", "user agent")
_DELAY_NAMES = ("crawl-delay", "crawl delay")
_SITE_WIDE_NAMES = ("sitemap", "sitemaps", "site-map", "host")


@dataclass(frozen=True, slots=True)
class Robots:
    """What one origin says to us. `unavailable`: the reason why it could not be asked.

    usage: lines of Content-Usage and Content-Signal. `tdm`: the rules of tdmrep.json; none = it was not asked.
    """

    source: str
    rules: Protego | None = None
    crawl_delay: float | None = None
    usage: tuple[tuple[str, str], ...] = ()
    tdm: tuple[TdmRule, ...] | None = None
    notes: tuple[str, ...] = ()
    unavailable: str | None = None

    def allows(self, address: WebAddress) -> bool:
        return self.rules is None or self.rules.can_fetch(address.request, PRODUCT)

    def ai_refusal(self, address: WebAddress) -> str | None:
        """The line that refuses training on what lies at the address."""
        said = refusal(self.usage, address.target)
        return f"robots.txt: {said}" if said else None

    def tdm_rule(self, address: WebAddress) -> TdmRule | None:
        return rule_for(self.tdm or (), address.target)


def robots_of_answer(status: int, body: bytes) -> Robots:
    """The meaning of an answer to GET /robots.txt, redirects followed."""
    if 200 <= status < 300:
        return parse_robots(body)
    if status == 429 or status >= 500:
        return robots_unavailable("robots-unavailable", f"robots.txt: status {status}")
    return Robots(f"no robots.txt: status {status}")


def robots_unavailable(reason: str, source: str = "robots.txt") -> Robots:
    """Nothing may be requested until it can be asked again."""
    return Robots(source, unavailable=reason)


def parse_robots(body: bytes) -> Robots:
    """From the bytes of the file, of which at least 500 KiB count."""
    text = _text(_whole_lines(body))
    if text.lstrip().startswith("<"):
        return Robots("no robots.txt: a page of HTML")
    groups = _groups(text)
    ours = [group for group in groups if PRODUCT in group.agents] or [group for group in groups if "*" in group.agents]
    lines = [line for group in ours for line in group.lines]
    delays, notes = _delays(lines)
    return Robots(
        source="robots.txt",
        rules=_rules(lines),
        crawl_delay=max(delays, default=None),
        usage=tuple((name, value) for name, value in [*_site_wide(text), *lines] if name in USAGE_NAMES),
        notes=tuple(notes),
    )


def _rules(lines: list[tuple[str, str]]) -> Protego:
    """Protego splits lines at more characters than RFC 9309 does, so what is no plain ASCII goes in escaped."""
    wanted = [f"{name}: {quote(value, safe=_ASCII)}" for name, value in lines if name in ("allow", "disallow")]
    return Protego.parse("\n".join(["User-agent: *", *wanted]))


def _whole_lines(body: bytes) -> bytes:
    """A line that the limit would cut is dropped, not half used."""
    if len(body) <= MAX_ROBOTS_BYTES:
        return body
    cut = max(body.rfind(b"\n", 0, MAX_ROBOTS_BYTES), body.rfind(b"\r", 0, MAX_ROBOTS_BYTES))
    return body[: cut + 1]


def _text(body: bytes) -> str:
    """Bytes that are no UTF-8 stand for themselves, escaped as they would be in an address."""
    for mark, charset in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(charset, "replace" if charset != "utf-8" else "surrogateescape")
    return body.decode("utf-8", "surrogateescape")


def _escaped(value: str) -> str:
    return "".join(f"%{ord(char) - 0xDC00:02X}" if 0xDC80 <= ord(char) <= 0xDCFF else char for char in value)


@dataclass(slots=True)
class _Group:
    agents: set[str] = field(default_factory=set)
    lines: list[tuple[str, str]] = field(default_factory=list)


def _groups(text: str) -> list[_Group]:
    """Agents are product tokens in small letters, without version; rules before the first group are dropped."""
    groups: list[_Group] = []
    for name, value in _fields(text):
        if name in _AGENT_NAMES:
            if not groups or groups[-1].lines:
                groups.append(_Group())
            token = _TOKEN.match(value)
            groups[-1].agents.add(token[0].lower() if token and _ends_token(value, token.end()) else "")
        elif groups and name not in _SITE_WIDE_NAMES:
            groups[-1].lines.append((name, value))
    return groups


def _ends_token(value: str, end: int) -> bool:
    return end == len(value) or value[end] in "/ \t*"


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in re.split(r"\r\n|\r|\n", text):
        name, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield name.strip().lower(), _escaped(value.strip())


def _delays(lines: list[tuple[str, str]]) -> tuple[list[float], list[str]]:
    delays, notes = [], []
    for name, value in lines:
        if name not in _DELAY_NAMES:
            continue
        if _NUMBER.fullmatch(value):
            delays.append(min(float(value), MAX_CRAWL_DELAY_SECONDS))
        else:
            notes.append(f"robots.txt: crawl-delay ignored: {value[:40]!r}")
    return delays, notes


def _site_wide(text: str) -> Iterator[tuple[str, str]]:
    """What stands before the first group: no rule counts there, a wish about use does."""
    for name, value in _fields(text):
        if name in _AGENT_NAMES:
            return
        yield name, value
