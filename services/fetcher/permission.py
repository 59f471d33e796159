"""May this picture be used for training? What the headers of its answer say, with the words that said it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from entityflow.http import PRODUCT
from services.fetcher.tdm import TdmRule
from services.fetcher.usage import NAMES, training_refused

REFUSALS = frozenset(("noai", "noimageai", "noml", "noindex", "noimageindex", "none"))
VALUED = frozenset(("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"))
KNOWN = REFUSALS | VALUED | {"all", "index", "follow", "nofollow", "noarchive", "nosnippet", "notranslate"}

_AGENT = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*|\*)(/[\w.]+)?")


@dataclass(frozen=True, slots=True)
class Judgement:
    """`reason` is none where nothing refuses; `evidence` lists what was found, refusing or not."""

    reason: str | None = None
    evidence: tuple[str, ...] = ()


def judge_answer(headers: Iterable[tuple[str, str]], rule: TdmRule | None) -> Judgement:
    """The headers and what tdmrep.json says of the address; a tdm-reservation header beats the file."""
    pairs = list(headers)
    found = judge_headers(pairs)
    if rule is None or any(name.lower() == "tdm-reservation" for name, _ in pairs):
        return found
    return Judgement(found.reason or ("tdm-reserved" if rule.reserved else None), (*found.evidence, rule.evidence))


def judge_headers(headers: Iterable[tuple[str, str]]) -> Judgement:
    """All headers add up; the first kind that refuses gives the reason."""
    reason: str | None = None
    evidence: list[str] = []
    for name, value in headers:
        found = _judge(name.lower(), value)
        if found is not None:
            reason = reason or found.reason
            evidence += found.evidence
    return Judgement(reason, tuple(evidence))


def _judge(name: str, value: str) -> Judgement | None:
    if name == "x-robots-tag":
        directives = list(directives_for_us(value))
        refused = any(directive in REFUSALS for directive in directives)
        return Judgement("opted-out" if refused else None, tuple(f"x-robots-tag: {word}" for word in directives))
    if name == "tdm-reservation":
        reserved = value.strip() == "1"
        return Judgement("tdm-reserved" if reserved else None, (f"tdm-reservation: {value.strip()[:40]}",))
    if name == "tdm-policy":
        return Judgement(None, (f"tdm-policy: {value.strip()[:100]}",))
    if name in NAMES:
        refused = bool(training_refused(value))
        return Judgement("opted-out" if refused else None, (f"{name}: {value.strip()[:80]}",))
    return None


def directives_for_us(value: str) -> Iterator[str]:
    """Of one X-Robots-Tag line, in small letters: those without scope, and those in ours.

    A scope (`otherbot: `) holds to the next one. A directive with a value (`max-snippet: -1`) is no scope, nor is what
    a date is made of (`25 Jun 2010 15:00:00 PST`).
    """
    ours = True
    for part in re.split("[,;]", value):
        name, colon, rest = part.strip().partition(":")
        name = name.strip().lower()
        if colon and name not in KNOWN and (agent := _AGENT.fullmatch(name)):
            ours = agent[1] in (PRODUCT, "*")
            name, _, _ = rest.strip().lower().partition(":")
            name = name.strip()
        if ours and name in KNOWN:
            yield name
