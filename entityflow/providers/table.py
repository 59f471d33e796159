"""What one provider's YAML file may say. docs/providers.md explains it with an example."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from entityflow.json_paths import steps
from entityflow.templates import placeholders

Text = Annotated[str, Field(min_length=1)]

ASKED = frozenset(
    ("text", "entity", "lang", "page", "offset", "per_page", "cursor", "any_of", "none_of", "minus_none_of", "budget")
)
SECRET = "secret."


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Terms(Section):
    """Where the provider says what it allows, when that was read, and what matters here."""

    url: Text
    read: date
    note: str = ""


class Quota(Section):
    """Requests allowed; none = not said. Windows up to an hour are kept by pacing, days and months by counting."""

    per_second: float | None = Field(default=None, gt=0)
    per_minute: int | None = Field(default=None, ge=1)
    per_hour: int | None = Field(default=None, ge=1)
    per_day: int | None = Field(default=None, ge=1)
    per_month: int | None = Field(default=None, ge=1)

    @property
    def seconds_between(self) -> float:
        """The pause between two requests that keeps the short windows."""
        windows = ((1, self.per_second), (60, self.per_minute), (3600, self.per_hour))
        return max([seconds / count for seconds, count in windows if count], default=0.0)


class Media(Section):
    """Where its pictures lie. Without a host they lie on many, of which none is busy."""

    host: str | None = None
    requests_per_second: float = Field(default=2.0, gt=0, description="that one host takes")
    bytes_per_second: float | None = Field(default=None, gt=0)
    bytes_per_day: float | None = Field(default=None, gt=0)
    picture_bytes: int = Field(default=250_000, gt=0, description="of one download, for plans")

    def seconds_for(self, pictures: float) -> float:
        """How long one host takes to give so many; nothing where there are many hosts."""
        if self.host is None:
            return 0.0
        size = pictures * self.picture_bytes
        by_day = size / self.bytes_per_day * 86_400 if self.bytes_per_day else 0.0
        return max(
            pictures / self.requests_per_second, size / self.bytes_per_second if self.bytes_per_second else 0.0, by_day
        )


class Paging(Section):
    """Pages are numbered from 1; a provider may count offsets or hand out a cursor instead."""

    per_page: int = Field(default=20, ge=1, description="asked for where the domain file says nothing")
    max_per_page: int = Field(default=20, ge=1)
    max_pages: int = Field(default=10, ge=1, description="deepest page that the provider allows")
    first_cursor: str | None = Field(default=None, description="what the first page is asked with")


def _rule(value: Any) -> Any:
    """`title` is short for `{path: title}`, a list for several places of which the first counts."""
    return {"path": value} if isinstance(value, str | list) else value


class FieldRule(Section):
    """Where a text of a hit stands. `^` at the beginning of a path is one level above the hit.

    path: the first of them that leads to something counts. make: a text made of several paths in braces.
    match: a pattern whose first group is taken. replace: pieces that are exchanged. table: what values stand for.
    """

    path: Annotated[tuple[Text, ...], BeforeValidator(lambda one: [one] if isinstance(one, str) else one)] = ()
    make: str | None = None
    match: str | None = None
    replace: Mapping[str, str] = Field(default_factory=dict)
    table: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> FieldRule:
        if bool(self.path) == bool(self.make):
            raise ValueError("either path or make is wanted")
        for path in self.path:
            steps(path.lstrip("^."))
        if self.match is not None and not _pattern(self.match).groups:
            raise ValueError(f"match {self.match!r} has no group in brackets")
        return self


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as exc:
        raise ValueError(f"match {text!r} is no pattern: {exc}") from exc


Rule = Annotated[FieldRule, BeforeValidator(_rule)]
Rules = Annotated[
    tuple[Rule, ...], BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value])
]


class Trouble(Section):
    """An answer with status 200 that says that something went wrong."""

    path: Text = Field(description="where the code stands; nothing there = no trouble")
    message: str | None = None
    fine: tuple[str, ...] = Field(default=(), description="codes that are none")
    away: tuple[str, ...] = Field(default=(), description="codes that pass: asked again later")
    setup: tuple[str, ...] = Field(default=(), description="codes that a person must mend, such as a wrong key")


def _path(text: str) -> str:
    steps(text)
    return text


Path = Annotated[Text, AfterValidator(_path)]


class Answer(Section):
    hits: Path = Field(description="path to the hits; [*] = each of a list")
    address: Rule
    alternates: Rules = ()
    title: Rule | None = None
    alt_text: Rule | None = None
    description: Rule | None = None
    page_url: Rule | None = None
    width: Rule | None = None
    height: Rule | None = None
    license: Rule | None = None
    license_url: Rule | None = None
    creator: Rule | None = None
    order: Path | None = Field(default=None, description="path in a hit to the number by which hits are sorted")
    pages: Path | None = Field(default=None, description="path to the number of pages")
    total: Path | None = Field(default=None, description="path to the number of hits on all pages")
    more: Path | None = Field(default=None, description="path that is there while there are more pages")
    cursor: Path | None = Field(default=None, description="path to what the next page is asked with")
    empty: Path | None = Field(default=None, description="path that is there where no hits are no mistake")
    trouble: Trouble | None = None


class ProviderTable(Section):
    """One search provider.

    In `endpoint`, `parameters` and `headers` these stand in braces: text, entity (its id), lang, page, offset,
    per_page, cursor, any_of, none_of, minus_none_of (-a -b), and secret.NAME, which is ENTITYFLOW_SECRET_NAME. A
    parameter or header whose braces hold nothing is left out.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: Text
    endpoint: str
    parameters: Mapping[str, str] = Field(default_factory=dict)
    photo: Mapping[str, str] = Field(default_factory=dict, description="parameters of all queries but sketches")
    sketch: Mapping[str, str] | None = Field(
        default=None, description="parameters of sketches; none = sketches are not asked for"
    )
    headers: Mapping[str, str] = Field(default_factory=dict)
    needs: tuple[str, ...] = Field(default=(), description="secrets without which it does not answer")
    kinds: tuple[str, ...] = Field(default=(), description="kinds of query that it is asked; none = all")
    first_round_only: bool = False
    max_text_characters: int = Field(default=400, ge=1)
    paging: Paging = Paging()
    answer: Answer
    price_per_1000: float = Field(default=0.0, ge=0, description="US dollars for 1,000 requests")
    expected_hits: float | None = Field(default=None, gt=0, description="of one query in all, for plans; none = a page")
    media: Media = Media()
    quota: Quota = Quota()
    licences: str = Field(default="unknown", description="what it says of a picture's licence")
    texts: str = Field(default="title", description="what texts come with a picture")
    terms: Terms

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> ProviderTable:
        asked = [self.endpoint, *self.parameters.values(), *self.photo.values(), *self.headers.values()]
        for name in placeholders(*asked, *(self.sketch or {}).values()):
            if name not in ASKED and not name.startswith(SECRET):
                raise ValueError(f"{{{name}}} is not known; known are {', '.join(sorted(ASKED))}, {SECRET}NAME")
        return self

    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets that it mentions."""
        asked = (self.endpoint, *self.parameters.values(), *self.headers.values())
        names = (name.removeprefix(SECRET) for name in placeholders(*asked) if name.startswith(SECRET))
        return tuple(dict.fromkeys((*self.needs, *names)))

    def asks(self, kind: str, round_: int) -> bool:
        """Whether a query of this kind and round is for this provider."""
        if kind == "sketch" and self.sketch is None:
            return False
        return (not self.kinds or kind in self.kinds) and not (self.first_round_only and round_)
