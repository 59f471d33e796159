"""A filter that wakes up before a backlog takes in what it may hold, and no more."""

import hashlib
from dataclasses import replace
from pathlib import Path

from entityflow.admin import Admin
from entityflow.records import Image
from entityflow.settings import Settings
from tests.integration.filter_line import image, publish, running
from tests.unit.test_fingerprints_copies import photo
from tests.waiting import eventually

MESSAGES, PICTURE_BYTES = 3000, 100_000
MOST_BYTES = 400_000_000  # DESIGN's target for 20,000 messages; this backlog alone is 300 MB
ASKED_TWICE = 2 * 128  # by the filter's own concurrency: with the index away it takes no more and asks again


def backlog() -> list[Image]:
    """Different images with the bytes of one picture, filled up behind its end."""
    shown = image(photo(1), 1)
    payload = (shown.payload or b"").ljust(PICTURE_BYTES, b"\0")
    ids = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(MESSAGES)]
    return [replace(shown, image_id=identity, payload=payload) for identity in ids]


def peak_bytes(pid: int) -> int:
    """The most resident memory that the process ever had."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_a_backlog_larger_than_the_limits_stays_on_the_broker(settings: Settings) -> None:
    publish(settings, backlog())

    with running(settings, "filter") as (service,):
        asked = [("fingerprint", 0)]
        eventually(lambda: Admin(settings).ends(asked)["fingerprint", 0] >= ASKED_TWICE)
        peak = peak_bytes(service.pid)

    assert peak < MOST_BYTES
