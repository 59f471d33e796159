"""Pictures for the storm: made from their numbers, served on loopback under several ports, and what must come of them.

`python -m tests.chaos.corpus PORT...` serves them until it is stopped.
"""

from __future__ import annotations

import csv
import io
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aiohttp import web
from PIL import Image as Picture

from entityflow.ids import image_id

NOISE = (16, 12)
SIZE = (320, 240)
SAME_EVERY, SMALLER_EVERY = 7, 11


@dataclass(frozen=True)
class Offer:
    """One row of the list: an address with its text. Offers of one `number` show the same picture."""

    number: int
    copy: str  # first | same (bytes) | smaller (other bytes)
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.number}/{self.copy}.jpg"

    @property
    def text(self) -> str:
        return f"a wide view of hill {self.number} taken for the {self.copy} time"


def offers(pictures: int, ports: list[int]) -> list[Offer]:
    """Each picture once, some once more with the same bytes and some recompressed, spread over the ports."""

    def each() -> Iterator[Offer]:
        for number in range(pictures):
            yield Offer(number, "first", ports[number % len(ports)])
            if number % SAME_EVERY == 0:
                yield Offer(number, "same", ports[(number + 1) % len(ports)])
            if number % SMALLER_EVERY == 0:
                yield Offer(number, "smaller", ports[(number + 2) % len(ports)])

    return list(each())


def write_list(path: Path, chosen: list[Offer]) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "caption"])
        rows.writerows((offer.url, offer.text) for offer in chosen)
    return path


@lru_cache(maxsize=512)
def picture(number: int, copy: str) -> bytes:
    """Noise of few points: no two numbers look alike, every copy of one does."""
    out = io.BytesIO()
    noise = random.Random(number).randbytes(NOISE[0] * NOISE[1] * 3)
    shown = Picture.frombytes("RGB", NOISE, noise).resize(SIZE)
    shown.save(out, "JPEG", quality=60 if copy == "smaller" else 85)
    return out.getvalue()


@dataclass(frozen=True)
class Expected:
    """number_of: the picture that an image_id shows. texts: all that is said of a picture, in order."""

    number_of: dict[str, int]
    texts: dict[int, list[str]]


def expected(chosen: list[Offer]) -> Expected:
    texts: dict[int, list[str]] = defaultdict(list)
    for offer in chosen:
        texts[offer.number].append(offer.text)
    ids = {image_id(picture(offer.number, offer.copy)): offer.number for offer in chosen}
    return Expected(ids, {number: sorted(said) for number, said in texts.items()})


async def _serve(request: web.Request) -> web.Response:
    body = picture(int(request.match_info["number"]), request.match_info["copy"])
    return web.Response(body=body, content_type="image/jpeg")


async def _start(ports: list[int]) -> web.AppRunner:
    app = web.Application()
    app.router.add_get(r"/{number:\d+}/{copy:\w+}.jpg", _serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    for port in ports:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


def main() -> None:
    import asyncio

    loop = asyncio.new_event_loop()
    loop.run_until_complete(_start([int(word) for word in sys.argv[1:]]))
    loop.run_forever()


if __name__ == "__main__":
    main()
