"""How a question is put to a provider, by its table: an address, headers, and the id of the question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from entityflow.ids import content_id
from entityflow.providers import ProviderTable
from entityflow.templates import filled
from services.searcher.providers import Request

SKETCH = "sketch"


@dataclass(frozen=True, slots=True)
class Question:
    """`address` and `headers` may hold secrets: they are never logged. `id` is made without them."""

    address: str
    headers: Mapping[str, str]
    id: str


def question(table: ProviderTable, endpoint: str, request: Request, secrets: Mapping[str, str]) -> Question:
    """What goes on the wire for one page of one query."""
    values = _values(table, request)
    known = {**values, **{f"secret.{name}": secret for name, secret in secrets.items()}}
    asked = _parameters(table, request)
    parameters = _filled(asked, known)
    bare = filled(endpoint, values) or endpoint
    separator = "&" if "?" in endpoint else "?"
    encoded = urlencode(parameters)
    return Question(
        address=f"{filled(endpoint, known) or endpoint}{separator if encoded else ''}{encoded}",
        headers=_filled(table.headers, known),
        id=content_id(table.name, bare, urlencode(_filled(asked, values))),
    )


def _values(table: ProviderTable, request: Request) -> dict[str, str]:
    return {
        "text": _cut(request.text, table.max_text_characters),
        "entity": request.entity_id,
        "lang": request.lang,
        "page": str(request.page),
        "offset": str((request.page - 1) * request.per_page),
        "per_page": str(request.per_page),
        "cursor": request.cursor or table.paging.first_cursor or "",
        "any_of": " ".join(request.any_of),
        "none_of": " ".join(request.none_of),
        "minus_none_of": " ".join(f"-{word}" for word in " ".join(request.none_of).split()),
    }


def _parameters(table: ProviderTable, request: Request) -> dict[str, str]:
    special = (table.sketch or {}) if request.kind == SKETCH else table.photo
    return {**table.parameters, **special}


def _filled(texts: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    found = {name: filled(text, values) for name, text in texts.items()}
    return {name: text for name, text in found.items() if text}


def _cut(text: str, characters: int) -> str:
    """Whole words, as many as the provider takes."""
    if len(text) <= characters:
        return text
    return text[: characters + 1].rpartition(" ")[0] or text[:characters]
