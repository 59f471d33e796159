"""Where the pictures of the demo web lie: a few well-behaved hosts, and the kinds of trouble that a crawler meets.

Everything follows from the pictures' ids: the same corpus gives the same web.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from entityflow.embedded.corpus import Picture

SEARCH_HOST = "search.demo.test"
HOMES = {"openmoji": "drawings.demo.test", "fluent": "renderings.demo.test", "stamps": "stamps.demo.test"}
MIRROR = "mirror.demo.test"  # smaller, recompressed copies of what lies elsewhere
BUSY = "busy.demo.test"  # answers 429 above its rate
SLOW = "slow.demo.test"
PATIENT = "patient.demo.test"  # asks for a Crawl-delay
MOVED = "moved.demo.test"  # redirects, one of them in a circle
PRIVATE = "private.demo.test"  # robots.txt closes /private/
OPT_OUT = "optout.demo.test"  # X-Robots-Tag: its pictures must not be trained on
RESERVED = "reserved.demo.test"  # tdm-reservation: the same said in the other way
GONE = "gone.demo.test"  # dead links
LIAR = "liar.demo.test"  # sends HTML as image/jpeg
DOWN = "down.demo.test"  # nobody listens
HOSTS = (SEARCH_HOST, *HOMES.values(), MIRROR, BUSY, SLOW, PATIENT, MOVED, PRIVATE, OPT_OUT, RESERVED, GONE, LIAR)

ROBOTS = {
    PRIVATE: "User-agent: *\nDisallow: /private/\n",
    PATIENT: "User-agent: *\nCrawl-delay: 1\n",
    "stamps.demo.test": "User-agent: *\nAllow: /\n\nUser-agent: badbot\nDisallow: /\n",
}  # the others answer 404, which allows everything
HEADERS = {OPT_OUT: {"X-Robots-Tag": "noai, noimageai"}, RESERVED: {"tdm-reservation": "1"}}

# of every 1000 pictures: those that lie on an awkward host instead of their home ...
INSTEAD = ((BUSY, 20), (SLOW, 12), (PATIENT, 8), (MOVED, 20))
# ... and those that are offered a second time, under an address that gives another copy or nothing
BESIDE = ((MIRROR, 250), (PRIVATE, 10), (OPT_OUT, 10), (RESERVED, 5), (GONE, 20), (LIAR, 8), (DOWN, 5))


@dataclass(frozen=True)
class Offer:
    """One address under which a picture is offered by the search."""

    picture: Picture
    host: str

    @property
    def path(self) -> str:
        folder = "private" if self.host == PRIVATE else "pictures"
        extension = "jpg" if self.host in (MIRROR, LIAR) else self.picture.file.rsplit(".", 1)[1]
        return f"/{folder}/{self.picture.id}.{extension}"

    @property
    def goes_round(self) -> bool:
        """Whether a moved picture is never reached."""
        return _ticket(self.picture.id, "round") < 200

    @property
    def dead_status(self) -> int:
        """How a dead link answers: gone for good, or not found."""
        return 410 if _ticket(self.picture.id, "dead") < 500 else 404

    @property
    def page(self) -> str:
        return f"/pages/{self.picture.id}.html"


def offers(picture: Picture) -> Iterator[Offer]:
    """The addresses of a picture, its home first."""
    yield Offer(picture, _drawn(picture.id, "instead", INSTEAD) or HOMES[picture.source])
    if (other := _drawn(picture.id, "beside", BESIDE)) is not None:
        yield Offer(picture, other)


def _drawn(picture_id: str, purpose: str, shares: tuple[tuple[str, int], ...]) -> str | None:
    ticket = _ticket(picture_id, purpose)
    for host, share in shares:
        if ticket < share:
            return host
        ticket -= share
    return None


def _ticket(picture_id: str, purpose: str) -> int:
    """One of 1000, as good as by chance and always the same."""
    digest = hashlib.sha256(f"{purpose}/{picture_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 1000
