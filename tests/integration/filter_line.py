"""Images for the filter's tests, and the filter and the index as processes of their own."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image as Picture

from entityflow.ids import image_id
from entityflow.pictures import PictureLimits, decode_and_store
from entityflow.records import (
    Amend,
    FilteredPair,
    Fingerprint,
    Image,
    Match,
    Origin,
    Original,
    Outcome,
    Permission,
    Url,
)
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all, read_topic
from tests.unit.test_fingerprints_copies import stored


class Service:
    """A service's own entry point; killed and started again under the same settings."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self._settings = name, settings
        self.start()

    def start(self) -> None:
        own = {
            "ENTITYFLOW_KAFKA_BOOTSTRAP": self._settings.kafka_bootstrap,
            "ENTITYFLOW_PREFIX": self._settings.prefix,
            "ENTITYFLOW_STATE_DIR": str(self._settings.state_dir),
            "ENTITYFLOW_SMALL_TOPICS": "true",
            "ENTITYFLOW_COMMIT_SECONDS": "0.1",
            "ENTITYFLOW_SESSION_TIMEOUT_SECONDS": "6",
            "ENTITYFLOW_DRAIN_SECONDS": "2",
            "ENTITYFLOW_FILTER_ASK_AGAIN_SECONDS": "3",
            "ENTITYFLOW_INDEX_BATCH_RECORDS": "7",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"services.{self.name}.service"],
            env={**os.environ, **own},
            stderr=subprocess.DEVNULL,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=60)


@contextmanager
def running(settings: Settings, *names: str) -> Iterator[list[Service]]:
    services = [Service(name, settings) for name in names]
    try:
        yield services
    finally:
        for service in services:
            service.kill()


def image(picture: Picture.Image | None, number: int, alt: str = "a picture of hills", original: bytes = b"") -> Image:
    """An image record of candidate `number`; without a picture, a sighting of the image of `original`."""
    original = original or stored(picture)
    shown = decode_and_store(original, PictureLimits()) if picture else None
    return Image(
        image_id=image_id(original),
        payload=shown.payload if shown else None,
        format=shown.format if shown else None,
        width=shown.width if shown else None,
        height=shown.height if shown else None,
        original=Original(width=picture.width, height=picture.height, bytes=len(original), format="JPEG")
        if picture
        else None,
        permission=Permission(decision="allowed"),
        candidate=Url(
            candidate_id=hashlib.md5(str(number).encode()).hexdigest(),
            url_id=f"{number:032x}",
            address=f"http://pictures.test/{number}.jpg",
            provider="test",
            alt_text=alt,
            entity_id=f"Q{number % 7 + 1}",
            query_id="q",
        ),
        url_origin=Origin(topic_uuid="urls", partition=0, offset=number),
    )


def publish(settings: Settings, images: list[Image]) -> None:
    produce_all("test", settings, [Send("image", one) for one in images], ["image"])


def records(settings: Settings, topic: str, kind: type) -> list:
    return [record for _, record in read_topic(settings, topic) if isinstance(record, kind)]


def accepted(settings: Settings) -> list[FilteredPair]:
    return records(settings, "filtered-pair", FilteredPair)


def outcomes(settings: Settings) -> dict[str, set[str]]:
    """The results of each candidate, whatever was repeated."""
    found: dict[str, set[str]] = {}
    for outcome in records(settings, "outcome", Outcome):
        found.setdefault(outcome.candidate_id, set()).add(outcome.result)
    return found


def merges(settings: Settings) -> list[Amend]:
    return records(settings, "amend", Amend)


def asked_again(settings: Settings) -> list[Url]:
    return records(settings, "url", Url)


def fingerprints(settings: Settings) -> list[Fingerprint]:
    return records(settings, "fingerprint", Fingerprint)


def matches(settings: Settings) -> dict[str, Match]:
    """The newest answer for each image."""
    return {match.image_id: match for match in records(settings, "match", Match)}
