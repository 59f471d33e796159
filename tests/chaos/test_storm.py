"""The whole line under a storm: no sample is lost, none is there twice, and every byte is what it would have been.

In `make test` a short one with a fixed seed; `make chaos SEED=n` a long one.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from entityflow.admin import create_topics
from entityflow.embedded.ports import free_ports
from entityflow.embedded.supervisor import Stack
from entityflow.ids import image_id
from entityflow.objects import Objects
from entityflow.pictures import PictureLimits, decode_and_store
from entityflow.settings import Settings, load_settings
from entityflow.shards import list_manifests
from entityflow.stage import read_topic
from entityflow.topics import dead_letter_topics
from tests.chaos.corpus import Offer, expected, offers, picture
from tests.chaos.members import Members, Place
from tests.chaos.storm import LONG, POISONED, SHORT, Storm, environment_of
from tests.integration.command import json_of
from tests.waiting import eventually

PORTS = 8
DECODED = 100  # pictures whose stored bytes are made again and compared


@pytest.fixture
def settings_of_own(own_stack: Stack, tmp_path: Path) -> Settings:
    values = own_stack.up(only=("kafka", "s3"))
    named = {name.removeprefix("ENTITYFLOW_").lower(): value for name, value in values.items()}
    made: Settings = load_settings(**{**named, "prefix": "storm", "state_dir": tmp_path / "state"})
    create_topics(made)
    return made


@pytest.fixture
def ports() -> Iterator[list[int]]:
    chosen = free_ports(PORTS, 0)
    serving = subprocess.Popen([sys.executable, "-m", "tests.chaos.corpus", *map(str, chosen)])
    yield chosen
    serving.kill()
    serving.wait()


def samples(settings: Settings) -> list[tuple[str, str, list[str]]]:
    """(image_id, SHA-256 of the stored picture, sorted texts) of everything in the newest shards."""
    objects, found = Objects(settings), []
    for manifest in list_manifests(objects):
        for stored in (manifest.tar, manifest.heldout):
            if stored is not None:
                found += list(_of_tar(objects.get(stored.key)))
    return found


def _of_tar(content: bytes) -> Iterator[tuple[str, str, list[str]]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = {member.name: tar.extractfile(member) for member in tar}
    for name, file in members.items():
        key, _, kind = name.partition(".")
        if kind == "jpg" and file is not None:
            described = json.load(members[f"{key}.json"])  # type: ignore[arg-type]
            texts = sorted(text["text"] for text in described["texts"])
            yield key, hashlib.sha256(file.read()).hexdigest(), texts


def everything(settings: Settings) -> dict[str, str]:
    """SHA-256 of every object of shards, by key."""
    objects = Objects(settings)
    return {one.key: hashlib.sha256(objects.get(one.key)).hexdigest() for one in objects.list("shards/")}


def dead_letters(settings: Settings) -> Counter[str]:
    """By topic, each original once."""
    found = {
        (name.removesuffix("-dlq"), message.headers.get("dlq-partition"), message.headers.get("dlq-offset"))
        for name, _ in dead_letter_topics()
        for message, _ in read_topic(settings, name)
    }
    return Counter(topic for topic, *_ in found)


def test_a_storm_loses_nothing_and_doubles_nothing(
    settings_of_own: Settings, own_stack: Stack, ports: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, begun = settings_of_own, time.monotonic()
    chosen = os.environ.get("ENTITYFLOW_CHAOS_SEED")
    size, seed = (LONG, int(chosen)) if chosen else (SHORT, 1)
    listed = offers(size.pictures, ports)
    right = expected(listed)
    storm = Storm(tmp_path, own_stack, settings, size, seed)
    try:
        storm.rage(listed)
        waited = storm.calm()
        storm.stop()
        cut = everything(settings)
        again = cut_again(tmp_path, settings, len(cut))
        report = json_of(settings, "report")
        before = json_of(settings, "shards", "verify")
        json_of(settings, "shards", "rewrite")
        after = json_of(settings, "shards", "verify")
    finally:
        storm.close()

    found = samples(settings)
    shown = Counter(right.number_of.get(identity, -1) for identity, _, _ in found)
    lost, doubled = set(right.texts) - set(shown), {number for number, count in shown.items() if count > 1}
    letters = dead_letters(settings)
    with capsys.disabled():
        print(f"\nchaos seed {seed}: {storm.seen}; members that ended by themselves: {storm.members.codes}")
        print(
            f"chaos seed {seed}: {len(listed)} candidates, {report['accepted']} accepted, {report['merged']} merged,"
            f" {report['pending']} pending, {len(found)} samples in {before['shards']} shards, {dict(letters)} dead"
            f" letters; {len(lost)} lost, {len(doubled)} doubled; {time.monotonic() - begun:.0f} s"
        )
    assert (lost, doubled, shown[-1]) == (set(), set(), 0)
    assert storm.seen.killed.total() == size.kills
    assert waited == 0
    assert set(storm.seen.exit_codes) == {0}
    assert (report["candidates"], report["pending"]) == (len(listed), 0)
    assert report["outcomes"] == {"accepted": size.pictures, "merged": len(listed) - size.pictures}
    assert letters == Counter(POISONED)
    assert (before["errors"], after["errors"]) == ([], [])
    assert cut == again
    assert {right.number_of[identity]: texts for identity, _, texts in found} == right.texts
    assert stored_wrongly(found, listed) == []


def cut_again(folder: Path, settings: Settings, objects: int) -> dict[str, str]:
    """The same log by one sharder that nobody disturbs, into another bucket."""
    other = settings.model_copy(update={"s3_bucket": "again"})
    undisturbed = Members(folder / "again", environment_of(other))
    Objects(other).ensure_bucket()
    place = Place("sharder", 0)
    undisturbed.add(place)
    try:
        eventually(lambda: len(list(Objects(other).list("shards/"))) >= objects, seconds=120)
        assert undisturbed.remove(place) == 0
    finally:
        undisturbed.end()
    return everything(other)


def stored_wrongly(found: list[tuple[str, str, list[str]]], listed: list[Offer]) -> list[str]:
    """The image_ids, of some, whose stored bytes are not those that the original gives."""
    originals = {image_id(picture(one.number, one.copy)): (one.number, one.copy) for one in listed}
    some = sorted(found)[:DECODED]
    return [
        identity
        for identity, digest, _ in some
        if hashlib.sha256(decode_and_store(picture(*originals[identity]), PictureLimits()).payload).hexdigest()
        != digest
    ]
