"""`entityflow forget` on a real broker and store: what it counts, writes and clears."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from entityflow.addresses import parse_address
from entityflow.examples import Example, thumbnail
from entityflow.forgetting import read_tombstones
from entityflow.objects import Objects
from entityflow.records import Address, Amend, Host, PairSource, Record, ShardInput
from entityflow.settings import Settings
from entityflow.shards import Manifest, ShardObject, shard_id, stem
from entityflow.stage import Send, produce_all, read_topic
from entityflow.topics import load_topics, partition_of
from tests.filtered_pairs import pair, picture
from tests.integration.command import json_of, run_command

Row = tuple[int, list[tuple[str, str | None]]]  # number of the pair; address and page of each source

FIRST: list[Row] = [
    (0, [("http://a.test/0.jpg", "http://blog.test/p")]),
    (1, [("http://a.test/1.jpg", None), ("http://img.b.test/1.jpg", None)]),
]
SECOND: list[Row] = [
    (2, [("http://img.b.test/2.jpg", None), ("http://a.test/2.jpg", "http://blog.test/p")]),
    (3, [("http://c.test/3.jpg", None)]),
]
SAID = ("samples", "sources", "waiting", "searches", "addresses")


def key_of(number: int) -> str:
    return pair(number).image_id


def candidate_of(number: int, at: int) -> str:
    return hashlib.md5(f"{number} {at}".encode()).hexdigest()


def put_shard(settings: Settings, start: int, rows: list[Row]) -> None:
    """A shard's table and manifest, as far as forgetting looks at them."""
    objects, out = Objects(settings), io.BytesIO()
    plain = [
        {
            "key": key_of(number),
            "status": "success",
            "url": sources[0][0],
            "page_url": sources[0][1],
            "candidates": [candidate_of(number, at) for at in range(len(sources))],
            "urls": [url for url, _ in sources],
            "page_urls": [page for _, page in sources],
        }
        for number, sources in rows
    ]
    pq.write_table(pa.Table.from_pylist(plain), out)
    table = ShardObject(key=f"{stem(0, start)}-x.parquet", bytes=len(out.getvalue()), sha256="0" * 64)
    manifest = Manifest(
        shard_id=shard_id(0, start),
        version=1,
        input=ShardInput(topic_uuid="u", partition=0, start=start, end=start + 1),
        count=len(rows),
        heldout_count=0,
        table=table,
        entities=1,
        schema_fingerprints=(),
        writer_version="0",
    )
    objects.put(table.key, out.getvalue())
    objects.put(manifest.key, manifest.encode())


@pytest.fixture
def stocked(settings: Settings) -> Settings:
    """Two shards of partition 0, which end at offset 3."""
    Objects(settings).ensure_bucket()
    put_shard(settings, 0, FIRST)
    put_shard(settings, 2, SECOND)
    filled = [replace(pair(100 + at), sources=()) for at in range(4)]
    produce_all("test", settings, [Send("filtered-pair", one, partition=0) for one in filled], ["filtered-pair"])
    return settings


@pytest.fixture
def forget(stocked: Settings) -> Callable[..., Any]:
    def run(*words: str) -> Any:
        return json_of(stocked, "forget", *words)

    return run


def counts(document: dict[str, Any]) -> tuple[int, ...]:
    return tuple(document[name] for name in SAID)


@pytest.mark.parametrize(
    ("option", "text", "samples", "sources"),
    [
        ("--sha256", key_of(3), {key_of(3)}, 0),
        ("--url", "http://A.test:80/1.jpg#x", {key_of(1)}, 0),
        ("--url", "http://a.test/2.jpg", set(), 1),
        ("--page", "http://blog.test/p", {key_of(0)}, 1),
        ("--host", "a.test", {key_of(0), key_of(1)}, 1),
        ("--host", "b.test", {key_of(2)}, 1),
        ("--host", "blog.test", {key_of(0)}, 1),
        ("--host", "nobody.test", set(), 0),
    ],
)
def test_a_sample_goes_with_its_picture_or_its_first_source_and_else_loses_a_source(
    forget: Callable[..., Any], option: str, text: str, samples: set[str], sources: int
) -> None:
    document = forget(option, text, "--dry-run")

    assert {key for shard in document["shards"] for key in shard["samples"]} == samples
    assert (document["samples"], document["sources"]) == (len(samples), sources)
    assert document["dry_run"] is True


def test_a_dry_run_writes_and_clears_nothing(forget: Callable[..., Any], stocked: Settings) -> None:
    Objects(stocked).put("searches/demo/1.json", json.dumps({"hits": ["http://a.test/0.jpg"]}).encode())

    document = forget("--host", "a.test", "--dry-run")

    assert (document["searches"], len(document["tombstones"])) == (1, 1)
    assert len(read_tombstones(stocked)) == 0
    assert Objects(stocked).size("searches/demo/1.json") is not None


def test_the_same_thing_again_writes_nothing_new(forget: Callable[..., Any], stocked: Settings) -> None:
    first = forget("--sha256", key_of(3), "--url", "http://a.test/1.jpg")
    again = forget("--sha256", key_of(3), "--url", "http://a.test/1.jpg")

    assert (len(first["tombstones"]), first["known"]) == (2, 0)
    assert (len(again["tombstones"]), again["known"]) == (0, 2)
    assert [len(read_tombstones(stocked)), again["samples"]] == [2, 2]


def test_merges_and_pairs_that_are_in_no_shard_yet_are_counted_too(
    forget: Callable[..., Any], stocked: Settings
) -> None:
    source = PairSource(candidate_id="e" * 32, url="http://d.test/9.jpg")
    merge = Amend(image_id=key_of(3), kind="merge", candidate_id="e" * 32, sources=(source,))
    copy = replace(merge, candidate_id="f" * 32, duplicate_image_id="9" * 64, sources=(replace(source, url="x"),))
    waiting = replace(pair(7), sources=(source,))
    sends = [Send("amend", merge), Send("amend", copy), Send("filtered-pair", waiting, partition=0)]
    produce_all("test", stocked, sends, ["amend"])

    assert counts(forget("--host", "d.test", "--dry-run"))[:3] == (0, 1, 1)
    assert counts(forget("--sha256", "9" * 64, "--dry-run"))[:3] == (0, 1, 0)


def test_what_an_address_redirected_to_is_forgotten_with_it(forget: Callable[..., Any], stocked: Settings) -> None:
    chain = ["http://short.test/x", "http://hop.test/y", "http://c.test/3.jpg"]
    remember(stocked, chain)

    document = forget("--url", chain[0])

    assert len(document["tombstones"]) == 3
    assert document["samples"] == 1
    assert memory(stocked, "address") == {}


def test_a_hosts_addresses_its_politeness_and_kept_searches_are_cleared_and_others_stay(
    forget: Callable[..., Any], stocked: Settings
) -> None:
    objects = Objects(stocked)
    remember(stocked, ["http://a.test/1.jpg"])
    remember(stocked, ["http://c.test/3.jpg"])
    hosts = [Host(host_key=name, delay_seconds=1.0, at=0.0) for name in ("a.test", "a.test:8080", "c.test")]
    produce_all("test", stocked, [Send("host", one, partition=0) for one in hosts], ["host"])
    objects.put("searches/p/json.json", b'{"items": [{"image": "http:\\/\\/a.test\\/1.jpg"}]}')
    objects.put("searches/p/page.json", b"<a href='http://www.a.test/1'>")
    objects.put("searches/p/other.json", b'["http://c.test/a.test/", "a.test"]')

    document = forget("--host", "a.test")

    assert (document["searches"], document["addresses"]) == (2, 3)
    assert set(memory(stocked, "host")) == {"c.test"}
    assert [one.final_url for one in memory(stocked, "address").values()] == ["http://c.test/3.jpg"]
    assert [one.key for one in objects.list("searches/")] == ["searches/p/other.json"]


def test_example_pictures_of_what_is_forgotten_are_cleared(forget: Callable[..., Any], stocked: Settings) -> None:
    objects = Objects(stocked)
    gone = Example(reason="merged", image_id="1" * 64, candidate_id="c", url="http://a.test/1.jpg")
    stays = replace(gone, image_id="2" * 64, url="http://c.test/1.jpg")
    for one in (gone, stays):
        objects.put(one.key, thumbnail(one, picture(1)))

    assert forget("--host", "a.test")["examples"] == 1
    assert [one.key for one in objects.list("examples/")] == [stays.key]


def remember(settings: Settings, chain: list[str]) -> None:
    """The fetcher's memory of addresses each of which led to the next, and the last to a picture."""
    addresses = [parse_address(text) for text in chain]
    count = load_topics()["address"].count(small=True)
    sends = [
        Send(
            "address",
            Address(url_id=one.url_id, image_id=None if after else "1" * 64, final_url=(after or [one])[0].request),
            partition=partition_of(one.host_key.encode(), count),
        )
        for at, one in enumerate(addresses)
        for after in [addresses[at + 1 :]]
    ]
    produce_all("test", settings, sends, ["address"])


def memory(settings: Settings, topic: str) -> dict[str, Any]:
    found: dict[str, Record | None] = {
        (message.key or b"").decode(): record for message, record in read_topic(settings, topic)
    }
    return {key: record for key, record in found.items() if record is not None}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing to forget is named"),
        (["--sha256", "12"], "--sha256 '12' is no SHA-256"),
        (["--host", "co.uk"], "is a suffix under which strangers"),
        (["--host", "a.test", "--trim", "--dry-run"], "--trim and --dry-run"),
    ],
)
def test_wrong_use_is_one_line_with_its_cure(settings: Settings, words: list[str], says: str) -> None:
    ran = run_command(settings, "forget", *words)

    assert ran.returncode == 2
    assert says in ran.stderr
    assert len(ran.stderr.splitlines()) == 2


def test_people_are_told_what_goes_and_what_to_do_next(stocked: Settings) -> None:
    ran = run_command(stocked, "forget", "--url", "http://a.test/1.jpg")

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [f"{shard_id(0, 0)}\t1\t0"]
    assert "1 tombstones written" in ran.stderr
    assert "next: entityflow shards rewrite" in ran.stderr
