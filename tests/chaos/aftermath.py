"""What a storm left behind, beside what must come of the same list on a quiet day."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from entityflow.ids import image_id
from entityflow.objects import Objects
from entityflow.pictures import PictureLimits, decode_and_store
from entityflow.settings import Settings
from entityflow.shards import list_manifests
from entityflow.stage import read_topic
from entityflow.topics import dead_letter_topics
from tests.chaos.corpus import Offer, expected, picture
from tests.chaos.members import Members, Place
from tests.chaos.storm import environment_of
from tests.waiting import eventually

DECODED = 100  # pictures whose stored bytes are made again and compared


@dataclass(frozen=True)
class Sample:
    image_id: str
    stored_sha256: str
    texts: list[str]


class Aftermath:
    """Reads the newest shards once; `listed` is what was fed."""

    def __init__(self, settings: Settings, listed: list[Offer]) -> None:
        self._settings, self._listed, self.right = settings, listed, expected(listed)
        self.samples = [one for content in _tars(settings) for one in _samples(content)]

    @cached_property
    def shown(self) -> Counter[int]:
        """How often each picture is there; -1 = something that nobody offered."""
        return Counter(self.right.number_of.get(one.image_id, -1) for one in self.samples)

    @property
    def lost(self) -> set[int]:
        return set(self.right.texts) - set(self.shown)

    @property
    def doubled(self) -> set[int]:
        return {number for number, count in self.shown.items() if count > 1}

    @property
    def texts(self) -> dict[int, list[str]]:
        return {self.right.number_of[one.image_id]: one.texts for one in self.samples}

    def stored_wrongly(self) -> list[str]:
        """The image_ids, of some, whose stored bytes are not those that the original gives."""
        originals = {image_id(picture(one.number, one.copy)): (one.number, one.copy) for one in self._listed}
        some = sorted(self.samples, key=lambda one: one.image_id)[:DECODED]
        again = {one.image_id: decode_and_store(picture(*originals[one.image_id]), PictureLimits()) for one in some}
        return [
            one.image_id for one in some if hashlib.sha256(again[one.image_id].payload).hexdigest() != one.stored_sha256
        ]

    def dead_letters(self) -> Counter[str]:
        """By topic, each original once."""
        found = {
            (name.removesuffix("-dlq"), message.headers.get("dlq-partition"), message.headers.get("dlq-offset"))
            for name, _ in dead_letter_topics()
            for message, _ in read_topic(self._settings, name)
        }
        return Counter(topic for topic, *_ in found)


def _tars(settings: Settings) -> Iterator[bytes]:
    objects = Objects(settings)
    for manifest in list_manifests(objects):
        yield from (objects.get(stored.key) for stored in (manifest.tar, manifest.heldout) if stored is not None)


def _samples(content: bytes) -> Iterator[Sample]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = {member.name: file.read() for member in tar if (file := tar.extractfile(member))}
    for name in members:
        key, _, kind = name.partition(".")
        if kind == "jpg":
            texts = sorted(text["text"] for text in json.loads(members[f"{key}.json"])["texts"])
            yield Sample(key, hashlib.sha256(members[name]).hexdigest(), texts)


def everything(settings: Settings) -> dict[str, str]:
    """SHA-256 of every object of shards, by key."""
    objects = Objects(settings)
    return {one.key: hashlib.sha256(objects.get(one.key)).hexdigest() for one in objects.list("shards/")}


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
