"""The records that flow, in the order that data flows; one Avro schema each in `schemas/avro/`.

Ids are functions of content, never of time or chance, so that a replay writes the same record again.
Collections are tuples; what an imported list cannot know is optional. Lists have caps (`MAX_TEXTS` ...):
what would exceed one is dropped by the writer and counted there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_TEXTS = 32
MAX_SOURCES = 64
MAX_EVIDENCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a record lies: the uuid tells a topic from one made anew under the same name."""

    topic_uuid: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Synonym:
    text: str
    lang: str
    kind: str  # alias | common | taxon


@dataclass(frozen=True, slots=True, kw_only=True)
class NaturalType:
    id: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    id: str
    label: str
    depth: int  # 1 = direct


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    id: str
    label: str
    lang: str
    description: str | None = None
    synonyms: tuple[Synonym, ...] = ()
    natural_type: NaturalType | None = None
    ambiguous: bool = False  # something else in the graph bears the same label
    parents: tuple[Parent, ...] = ()
    attributes: tuple[str, ...] = ()
    sitelinks: int | None = None
    images: tuple[str, ...] = ()
    revision: str | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    id: str
    entity_id: str
    text: str
    lang: str
    kind: str  # noun | attribute-noun | attribute-type | sketch
    natural_type: str | None = None
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    attribute: str | None = None
    budget: int
    round: int = 0
    providers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    id: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """One candidate: an address offered for a query (or by a list), with its texts."""

    candidate_id: str
    url_id: str
    address: str
    alternates: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    hop: int = 0
    refetch: bool = False
    page_url: str | None = None
    query_id: str | None = None
    entity_id: str | None = None
    round: int = 0
    provider: str
    rank: int = 0
    title: str | None = None
    alt_text: str | None = None
    description: str | None = None
    lang: str | None = None
    width: int | None = None
    height: int | None = None
    license: License | None = None
    creator: str | None = None
    attribution: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The picture as it was downloaded."""

    width: int
    height: int
    bytes: int
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    decision: str  # allowed | denied
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A downloaded, decoded and re-encoded picture; without payload it is a sighting of a known one."""

    image_id: str
    payload: bytes | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    original: Original | None = None
    final_url: str | None = None
    permission: Permission
    candidate: Url
    url_origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """64-bit perceptual hashes of the stored bytes as 16 hex digits; equal versions compare.

    detail: shape, brightness and colours of a small copy. Two pictures that both have one are copies only if these
    agree too. low_detail: too plain to be compared, known by its image_id only.
    """

    phash: str
    dhash: str
    version: int
    low_detail: bool = False
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """The nearest look-alike in the benchmark index of that version; name empty and distance 64 where it has none.

    Version 0 with the name `heldout` is our own held-out samples.
    """

    index_version: int
    name: str
    distance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The filter's question about an image; with `benchmark` a picture of that benchmark, to be kept away from."""

    image_id: str
    origin: Origin
    passed: bool
    hashes: Hashes | None = None
    benchmark: Benchmark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The index's answer for one image. `origin` is that of the image's first registration; where the image is
    unknown, that of the fingerprint which is answered.

    canonical_id: the image itself = accepted; another image = duplicate of it; none = unknown.
    """

    image_id: str
    origin: Origin | None = None
    hashes: Hashes | None = None
    seq: int
    canonical_id: str | None = None
    distance: int | None = None
    benchmark: Benchmark | None = None
    heldout: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PairText:
    text: str
    kind: str  # alt | title | description
    lang: str | None = None
    source: str  # candidate_id


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEntity:
    id: str
    query_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSource:
    candidate_id: str
    url: str
    page_url: str | None = None
    license: License | None = None
    creator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredPair:
    """An accepted image with its web texts: what becomes one sample of a shard."""

    image_id: str
    payload: bytes
    format: str
    width: int
    height: int
    original: Original
    texts: tuple[PairText, ...]
    entities: tuple[PairEntity, ...] = ()
    sources: tuple[PairSource, ...]
    stats: dict[str, float] = field(default_factory=dict)
    hashes: Hashes
    benchmark: Benchmark | None = None
    origin: Origin
    heldout: bool = False
    permission: Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class Amend:
    """What was learned about the sample image_id after it was accepted; equal (kind, candidate_id) fold once.

    refilter-text takes out `texts` only.
    """

    image_id: str
    kind: str  # merge | forget | decontaminate | refilter | refilter-text
    candidate_id: str | None = None
    texts: tuple[PairText, ...] = ()
    entities: tuple[PairEntity, ...] = ()
    sources: tuple[PairSource, ...] = ()
    permission: Permission | None = None
    duplicate_image_id: str | None = None
    distance: int | None = None
    reason: str | None = None
    tombstone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Marker in `filtered-pair` that closes the open shard of its partition."""

    partition: int
    start: int  # first offset of the range that it closes
    cause: str  # age | asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a candidate ended. The only record that holds measured times and clocks."""

    candidate_id: str
    url_id: str
    query_id: str | None = None
    entity_id: str | None = None
    round: int = 0
    rank: int = 0
    provider: str
    host: str | None = None
    address: str | None = None
    stage: str
    result: str  # accepted | merged | a reason
    url_origin: Origin | None = None
    image_id: str | None = None
    bytes: int | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    price: float | None = None
    detail: str | None = None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardInput:
    topic_uuid: str
    partition: int
    start: int
    end: int  # last offset of the range, inclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    shard_id: str
    version: int
    manifest: str  # key of the manifest in the bucket, under the prefix
    count: int
    heldout_count: int
    bytes: int
    sha256: str
    input: ShardInput
    entities: int
    schema_fingerprints: tuple[str, ...]
    writer_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    version: str
    uri: str
    metrics: dict[str, float] = field(default_factory=dict)
    shards: tuple[str, ...] = ()
    knowledge_version: str | None = None
    checkpoint: str | None = None
    promoted: bool = False
    why: str | None = None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Counts of one entity's candidates, and what follows from them."""

    entity_id: str
    round: int
    candidates: int
    accepted: int
    merged: int
    dropped: int
    decision: str  # enough | search-more | exhausted


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """How a host wants to be asked. `rate_limit`: requests a second at which it complained."""

    host_key: str
    delay_seconds: float
    blocked_until: float | None = None
    failures: int = 0
    cause: str | None = None
    rate_limit: float | None = None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What one address gave when it was tried: an image, or a reason that lasts until `expires`."""

    url_id: str
    image_id: str | None = None
    reason: str | None = None
    final_url: str | None = None
    permission: Permission | None = None
    expires: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What must be forgotten and never come back; only a hash of an address is kept."""

    id: str
    kind: str  # url | sha256 | page | host
    value: str
    at: float


Record = (
    Entity | Query | Url | Image | Fingerprint | Match | FilteredPair | Amend | Seal
    | Outcome | Shard | Model | Coverage | Host | Address | Tombstone
)  # fmt: skip
