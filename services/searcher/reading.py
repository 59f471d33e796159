"""An answer of a provider read by its table: hits as they are, what is missing or of another kind is unknown."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from entityflow.json_paths import Place, exists, places
from entityflow.providers import Answer, FieldRule
from entityflow.records import License
from entityflow.templates import replaced
from services.searcher.plain import plain_text
from services.searcher.providers import Hit, Page

ESCAPED = "|escaped"


class AnswerChanged(Exception):
    """A whole answer, but not of the shape that the table describes."""


class AnswerAway(Exception):
    """The provider says in its answer that it cannot answer now."""


class AnswerRefused(Exception):
    """The provider says in its answer that it will not answer this."""


class SetupWrong(Exception):
    """The provider says in its answer that key or account are wrong."""


def read_page(rules: Answer, answer: bytes) -> Page:
    """The hits of an answer. Raises ValueError for what is no whole JSON, and what the answer says went wrong."""
    document = json.loads(answer)
    if not isinstance(document, dict | list):
        raise ValueError("an object or a list is wanted")
    _check(rules, document)
    entries = list(_entries(rules, document))
    hits = [hit for entry in entries if (hit := _hit(rules, entry)) is not None]
    if entries and not hits:
        raise AnswerChanged(f"{len(entries)} hits, none of them with an address")
    return Page(
        hits=tuple(hits),
        pages=_count(document, rules.pages),
        total=_count(document, rules.total),
        more=exists(document, rules.more) if rules.more else None,
        cursor=_text(Place(document).find(rules.cursor)) if rules.cursor else None,
        entries=len(entries),
    )


def _check(rules: Answer, document: Any) -> None:
    if rules.trouble is not None:
        _check_trouble(rules, document)
    if not exists(document, rules.hits) and not (rules.empty and exists(document, rules.empty)):
        raise AnswerChanged(f"there is no {rules.hits.partition('[*]')[0]!r} in the answer")


def _check_trouble(rules: Answer, document: Any) -> None:
    trouble = rules.trouble
    assert trouble is not None
    code = _text(Place(document).find(trouble.path))
    if code is None or code in trouble.fine:
        return
    message = _text(Place(document).find(trouble.message)) if trouble.message else None
    told = code if message in (None, code) else f"{code}: {message}"
    if code in trouble.away:
        raise AnswerAway(told)
    raise SetupWrong(told) if code in trouble.setup else AnswerRefused(told)


def _entries(rules: Answer, document: Any) -> Iterable[Place]:
    found = list(places(document, rules.hits))
    if rules.order is None:
        return found
    path = rules.order
    return sorted(found, key=lambda place: _rank(place.find(path)))


def _rank(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.inf


def _hit(rules: Answer, place: Place) -> Hit | None:
    """None where there is no address."""
    address = raw(rules.address, place)
    if address is None or not address.strip():
        return None
    return Hit(
        address=address,
        alternates=tuple(one for one in _distinct(rules.alternates, place) if one != address),
        title=_words(rules.title, place),
        alt_text=_words(rules.alt_text, place),
        description=_words(rules.description, place),
        page_url=raw(rules.page_url, place),
        width=_number(raw(rules.width, place, numbers=True)),
        height=_number(raw(rules.height, place, numbers=True)),
        license=_license(_words(rules.license, place, numbers=True), raw(rules.license_url, place, numbers=True)),
        creator=_words(rules.creator, place),
    )


def raw(rule: FieldRule | None, place: Place, *, numbers: bool = False) -> str | None:
    """The text that a rule leads to, as it came; none where there is none. A number is a text only with `numbers`."""
    if rule is None:
        return None
    return next((found for text in _texts(rule, place, numbers) if (found := _adjusted(rule, text))), None)


def _words(rule: FieldRule | None, place: Place, *, numbers: bool = False) -> str | None:
    """One line without markup."""
    return plain_text(raw(rule, place, numbers=numbers))


def _distinct(rules: Iterable[FieldRule], place: Place) -> list[str]:
    return list(dict.fromkeys(text for rule in rules for text in _all(rule, place)))


def _all(rule: FieldRule, place: Place) -> list[str]:
    """Every text of a rule whose path may end in `[*]`."""
    if rule.path and rule.path[0].endswith("[*]"):
        return [text for path in rule.path for one in places(place.value, path) if (text := _text(one.value))]
    found = raw(rule, place)
    return [found] if found else []


def _texts(rule: FieldRule, place: Place, numbers: bool) -> Iterable[str]:
    if rule.make is not None:
        made = _made(rule.make, place)
        return [made] if made else []
    values = (place.find(path) for path in rule.path)
    return (text for value in values if (numbers or isinstance(value, str)) and (text := _text(value)) is not None)


def _made(template: str, place: Place) -> str | None:
    missing = False

    def value(name: str) -> str:
        nonlocal missing
        text = _text(place.find(name.removesuffix(ESCAPED)))
        missing = missing or not text
        return quote((text or "").replace(" ", "_"), safe="") if name.endswith(ESCAPED) else text or ""

    made = replaced(template, value)
    return None if missing else made


def _adjusted(rule: FieldRule, text: str) -> str | None:
    if rule.table:
        text = rule.table.get(text, text)
    if rule.match is not None:
        found = re.search(rule.match, text)
        text = (found[1] or "") if found else ""
    for old, new in rule.replace.items():
        text = text.replace(old, new)
    return text or None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _license(name: str | None, url: str | None) -> License | None:
    return License(id=name, url=url) if name or url else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


def _count(document: Any, path: str | None) -> int | None:
    return _number(_text(Place(document).find(path))) if path else None
