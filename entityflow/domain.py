"""A domain: the YAML file that says what to harvest, how to ask for it, and what to keep.

One deployment works on one domain. Every section but `name` and `roots` has defaults; all mistakes of a file are told
at once, each with its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from entityflow.chosen_providers import provider_mistakes, resolved
from entityflow.errors import UsageError
from entityflow.yaml_positions import Complaint, Document, read_document

MIB = 1 << 20

ItemId = Annotated[str, Field(pattern=r"^(Q[1-9][0-9]*|wn:[^\s]+)$", description="a QID such as Q729")]
PropertyId = Annotated[str, Field(pattern=r"^P[1-9][0-9]*$", description="a property such as P279")]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[a-z0-9]+)*$", description="a language tag such as en")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Item(Section):
    """A class of the graph; `label` overrides the graph's own where a better word exists."""

    id: ItemId
    label: str | None = Field(default=None, min_length=1)


def _item(value: Any) -> Any:
    """`Q729` is short for `{id: Q729}`."""
    return {"id": value} if isinstance(value, str) else value


ItemRef = Annotated[Item, BeforeValidator(_item)]


class Relations(Section):
    """How one gets from an entity up to a root."""

    closure: tuple[PropertyId, ...] = Field(
        default=("P279", "P171"), min_length=1, description="followed any number of times"
    )
    instance_of: PropertyId | None = Field(
        default="P31", description="followed once, at the bottom; null = classes only"
    )


class Filters(Section):
    """Which entities of the closure are taken."""

    image: bool = Field(default=False, description="only those that have a picture (P18)")
    min_sitelinks: int = Field(default=0, ge=0)
    exclude: tuple[ItemRef, ...] = Field(default=(), description="neither these nor what lies below them")
    without: tuple[PropertyId, ...] = Field(default=(), description="none that has one of these properties, e.g. P625")


class Limits(Section):
    entities: int | None = Field(
        default=None, ge=1, description="the most popular ones; `harvest --limit` goes before it"
    )
    parent_depth: int = Field(default=40, ge=1, le=100)
    max_vanished_share: Share = Field(
        default=0.2, description="a pass that misses more of the known entities is not believed"
    )
    pairs_per_entity: int = Field(default=50, ge=1, description="coverage calls this enough")


QueryKind = Literal["noun", "attribute-noun", "attribute-type", "sketch"]


class Queries(Section):
    """How to ask for an entity. Round 0 asks for the first `per_entity` queries, each later round for as many more."""

    kinds: tuple[QueryKind, ...] = Field(default=("noun", "attribute-noun"), min_length=1)
    natural_type: Literal["ambiguous", "always", "never"] = Field(
        default="ambiguous",
        description="when the natural type is written behind the noun; it always goes along as a hint",
    )
    attributes: tuple[str, ...] = Field(default=(), description="for entities whose natural type has none of its own")
    graph_attributes: bool = Field(
        default=False, description="colours, materials, patterns and parts that the graph names go before them"
    )
    attribute_min_sitelinks: int = Field(
        default=0, ge=0, description="only entities that are so popular are asked for with attributes"
    )
    type_attributes: dict[ItemId, tuple[str, ...]] = Field(
        default_factory=dict, description="natural type -> its attributes"
    )
    synonyms: int = Field(default=0, ge=0, description="how many synonyms are nouns of their own")
    none_of: tuple[str, ...] = Field(default=(), description="words that a hit should not have")
    per_entity: int = Field(default=1, ge=1, description="queries a round")
    budget: int = Field(default=20, ge=1, description="candidates a query")
    rounds: int = Field(default=1, ge=0, description="how often coverage may ask for more")


class Provider(Section):
    """A search provider by its name, with what it may be asked for. Providers are asked in the order of the list."""

    name: str = Field(min_length=1)
    table: Path | None = Field(default=None, description="a table of your own (docs/providers.md), beside this file")
    endpoint: str | None = Field(default=None, description="instead of the table's")
    per_page: int | None = Field(default=None, ge=1, le=500)
    max_pages: int | None = Field(default=None, ge=1)
    max_requests: int | None = Field(default=None, ge=0, description="for ever, over all processes; never passed")
    max_dollars: float | None = Field(default=None, ge=0, description="the same in money, by the table's price")
    requests_per_minute: int | None = Field(default=None, ge=1, description="instead of the table's")
    requests_per_day: int | None = Field(default=None, ge=1, description="instead of the table's")
    answers_days: float | None = Field(
        default=None, gt=0, description="how long a kept answer is good; none = for ever"
    )


def _provider(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


# who hands out the pictures that models are measured with (DataComp and TreeOfLife name them)
BENCHMARK_MIRRORS = (
    "image-net.org",
    "kaggle.com",
    "huggingface.co",
    "paperswithcode.com",
    "cocodataset.org",
    "vision.caltech.edu",
    "robots.ox.ac.uk",
    "storage.googleapis.com/openimages",
    "github.com/cvdfoundation",
    "inaturalist-open-data.s3.amazonaws.com/metadata",
)


class FilterRules(Section):
    """What a pair must be to be accepted."""

    min_side_pixels: int = Field(default=32, ge=1, description="shorter side of the original picture")
    max_aspect: float = Field(default=4.0, ge=1.0, description="longer side over shorter side")
    min_text_characters: int = Field(default=3, ge=1)
    max_text_characters: int = Field(default=500, ge=1)
    languages: tuple[Language, ...] = Field(default=(), description="empty = any")
    thresholds: dict[str, float] = Field(
        default_factory=dict, description="rule -> its limit, instead of the built-in one; docs/filtering.md"
    )
    denied_pages: tuple[str, ...] = Field(
        default=BENCHMARK_MIRRORS, description="hosts, or host/path beginnings, whose pictures are never taken"
    )
    max_benchmark_distance: int = Field(
        default=10, ge=-1, le=16, description="as near to a benchmark's picture is dropped, in bits of 64; -1 = none"
    )
    max_text_pictures: int = Field(default=10, ge=1, description="`refilter` drops a text that more pictures bear")


class Sharding(Section):
    """When an open shard is closed: a pure function of the log, but for the age that writes a seal into it."""

    max_samples: int = Field(default=1000, ge=1)
    max_bytes: int = Field(default=256 * MIB, ge=1 << 16)
    max_age_seconds: float = Field(default=3600.0, gt=0)


class Training(Section):
    model: str = Field(default="tiny", min_length=1, description="tiny, or a model name of open_clip")
    image_size: int = Field(default=64, ge=16)
    context_length: int = Field(default=32, ge=8, le=77)
    batch_size: int = Field(default=64, ge=2)
    epochs: int = Field(default=4, ge=1, description="times a shard group is drawn")
    learning_rate: float = Field(default=5e-4, gt=0)
    replay_share: Share = Field(default=0.25, description="drawn from earlier shards")
    alt_text_share: Share = Field(default=0.5, description="the rest is drawn from the knowledge graph's texts")
    seed: int = 0


class Domain(Section):
    """The whole file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="lower-case letters, digits and '-'")
    roots: tuple[ItemRef, ...] = Field(min_length=1)
    relations: Relations = Relations()
    filters: Filters = Filters()
    limits: Limits = Limits()
    languages: tuple[Language, ...] = Field(
        default=("en",), min_length=1, description="in order of preference; `mul` follows"
    )
    natural_types: tuple[ItemRef, ...] = ()
    considered: tuple[ItemRef, ...] = Field(
        default=(), description="classes that were looked at and left out: `domain suggest` passes them over"
    )
    queries: Queries = Queries()
    providers: tuple[Annotated[Provider, BeforeValidator(_provider)], ...] = Field(
        default=(Provider(name="demo"),), min_length=1
    )
    filter: FilterRules = FilterRules()
    sharding: Sharding = Sharding()
    heldout_share: Share = 0.002
    training: Training = Training()

    @model_validator(mode="after")
    def _attributes_have_a_type(self) -> Domain:
        known = {item.id for item in (*self.natural_types, *self.roots)}
        for item_id in self.queries.type_attributes:
            if item_id not in known:
                raise ValueError(f"queries.type_attributes.{item_id}: neither in natural_types nor a root")
        return self


def load_domain(path: Path | str) -> Domain:
    """The domain of a file. Raises UsageError with one line a mistake: `file:line:column: key: what is wrong`."""
    document = read_document(Path(path))
    try:
        domain = Domain.model_validate(document.plain)
    except ValidationError as exc:
        complaints = [_complaint(document, error) for error in exc.errors(include_url=False) if not _follows(error)]
        raise UsageError("\n".join(complaint.line for complaint in sorted(complaints))) from exc
    providers = tuple(resolved(rules, Path(path).parent) for rules in domain.providers)
    domain = domain.model_copy(update={"providers": providers})
    if mistakes := [document.complaint(loc, message) for loc, message in provider_mistakes(domain)]:
        raise UsageError("\n".join(complaint.line for complaint in sorted(mistakes)))
    return domain


def _follows(error: Any) -> bool:
    """A list that is only too short because its items are wrong: they have their own complaint."""
    return bool(error["type"] == "too_short" and error["input"])


def _complaint(document: Document, error: Any) -> Complaint:
    loc = tuple(part for part in error["loc"] if part != "[key]")
    kind = error["type"]
    if kind == "extra_forbidden":
        return document.unknown_key(loc, _known_keys(loc[:-1]))
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error" and not loc:
        named, _, message = message.partition(": ")
        loc = tuple(named.split("."))
    described = _description(loc)
    if kind == "string_pattern_mismatch":
        message = f"{error['input']!r} is not {described}" if described else f"{error['input']!r} is not allowed here"
    elif kind == "literal_error":
        return document.unknown_word(loc, str(error["input"]), _choices(error))
    elif kind == "missing":
        message = "is missing"
    else:
        message = f"{message[:1].lower()}{message[1:]}, got {error['input']!r}" if kind != "value_error" else message
    return document.complaint(loc, message)


def _choices(error: Any) -> list[str]:
    return [choice.strip("' ") for choice in error["ctx"]["expected"].replace(" or ", ", ").split(",")]


def _known_keys(loc: tuple[Any, ...]) -> list[str]:
    section = _section(loc)
    return list(section.model_fields) if section else []


def _section(loc: tuple[Any, ...]) -> type[Section] | None:
    section: type[Section] | None = Domain
    for part in loc:
        if isinstance(part, int) or section is None:
            continue
        section = SECTIONS.get(part) if part in section.model_fields else None
    return section


def _description(loc: tuple[Any, ...]) -> str | None:
    names = [part for part in loc if isinstance(part, str)]
    if names[-1:] == ["name"] and len(names) == 1:
        return Domain.model_fields["name"].description
    return next((DESCRIPTIONS[name] for name in reversed(names) if name in DESCRIPTIONS), None)


SECTIONS: dict[str, type[Section]] = {
    "roots": Item,
    "natural_types": Item,
    "exclude": Item,
    "considered": Item,
    "relations": Relations,
    "filters": Filters,
    "limits": Limits,
    "queries": Queries,
    "providers": Provider,
    "filter": FilterRules,
    "sharding": Sharding,
    "training": Training,
}
DESCRIPTIONS = {
    "roots": "a QID such as Q729",
    "natural_types": "a QID such as Q729",
    "exclude": "a QID such as Q729",
    "considered": "a QID such as Q729",
    "type_attributes": "a QID such as Q729",
    "closure": "a property such as P279",
    "instance_of": "a property such as P31",
    "without": "a property such as P625",
    "languages": "a language tag such as en",
}
