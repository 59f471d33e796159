"""The demo web: an image-search API and picture hosts on one loopback port, told apart by their Host header.

    python -m entityflow.embedded.web --port P --corpus DIR --state DIR

It is honest: the search ranks by words and answers what it has, hosts have robots.txt, limits, dead links and copies.
Every request is a line of `STATE/access.jsonl`.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import io
import json
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

from aiohttp import web
from PIL import Image

from entityflow.embedded import web_hosts as hosts
from entityflow.embedded.corpus import Picture, read_corpus
from entityflow.embedded.ports import LOOPBACK
from entityflow.embedded.web_hosts import Offer, offers
from entityflow.embedded.web_index import WordIndex

MAX_PER_PAGE, MAX_PAGES = 50, 20
BUSY_REQUESTS, BUSY_SECONDS = 2, 1.0
SLOW_SECONDS = 0.5
MIRROR_SHARE, MIRROR_QUALITY = 0.75, 60
REFUSED_PORT = 9  # discard: nobody listens there
TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def write_resolve_map(path: Path, port: int) -> None:
    """The file for the setting `resolve_file`: every host of the demo web is this machine."""
    table = dict.fromkeys(hosts.HOSTS, f"{LOOPBACK}:{port}") | {hosts.DOWN: f"{LOOPBACK}:{REFUSED_PORT}"}
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(table, indent=1, sort_keys=True))
    scratch.replace(path)


class DemoWeb:
    """The pages of all hosts over one corpus."""

    def __init__(self, corpus: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._corpus = corpus
        self._clock = clock
        pictures = read_corpus(corpus)
        self._offers = [offer for picture in pictures for offer in offers(picture)]
        homes = [Offer(picture, hosts.HOMES[picture.source]) for picture in pictures]  # where redirects end
        self._places = {(offer.host, offer.path): offer for offer in [*homes, *self._offers]}
        moved = [offer for offer in self._offers if offer.host == hosts.MOVED]
        for offer in moved:  # their home is not offered, but it answers whoever follows
            home = Offer(offer.picture, hosts.HOMES[offer.picture.source])
            self._places[home.host, home.path] = home
        self._pages = {(offer.host, offer.page): offer for offer in self._offers}
        self._index = WordIndex([_words_of(offer.picture) for offer in self._offers])
        self._busy: deque[float] = deque(maxlen=BUSY_REQUESTS)
        self._read = lru_cache(maxsize=256)(self._bytes)
        self._size = lru_cache(maxsize=None)(self._measured)

    def application(self, log: TextIO) -> web.Application:
        app = web.Application(middlewares=[access_log(log)])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/search", self.search)
        app.router.add_get("/robots.txt", self.robots)
        app.router.add_get("/{folder:pictures|private|old|loop}/{name}", self.picture)
        app.router.add_get("/pages/{name}", self.page)
        return app

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"offers": len(self._offers)})

    async def robots(self, request: web.Request) -> web.Response:
        text = hosts.ROBOTS.get(_host(request))
        return web.Response(text=text) if text is not None else web.Response(status=404, text="no robots.txt here\n")

    # --- search ---

    async def search(self, request: web.Request) -> web.Response:
        if _host(request) != hosts.SEARCH_HOST:
            return web.Response(status=404, text="nothing to search here\n")
        text = request.query.get("q", "").strip()
        if not text:
            return _bad("q: what to search for is missing")
        try:
            page = _number(request, "page", 1, MAX_PAGES)
            per_page = _number(request, "per_page", 20, MAX_PER_PAGE)
        except ValueError as exc:
            return _bad(str(exc))
        found = self._index.search(text, _list(request, "any_of"), _list(request, "none_of"))
        pages = min(MAX_PAGES, -(-len(found) // per_page))
        hits = [self._hit(self._offers[number]) for number in found[(page - 1) * per_page : page * per_page]]
        answer = {"query": text, "page": page, "pages": pages, "total": len(found), "hits": hits}
        return web.json_response(answer)

    def _hit(self, offer: Offer) -> dict[str, Any]:
        picture = offer.picture
        width, height = self._size(picture.file)
        if offer.host == hosts.MIRROR:
            width, height = _smaller(width, height)
        return {
            "url": f"http://{offer.host}{offer.path}",
            "title": picture.title,
            "alt": picture.alt,
            "description": ", ".join(picture.keywords) or None,
            "page_url": f"http://{offer.host}{offer.page}",
            "width": width,
            "height": height,
            "license": {"id": picture.licence.id, "url": picture.licence.url},
            "creator": picture.creator,
        }

    def _measured(self, file: str) -> tuple[int, int]:
        with Image.open(self._corpus / file) as image:
            return image.size

    # --- pictures ---

    async def page(self, request: web.Request) -> web.Response:
        offer = self._pages.get((_host(request), request.path))
        if offer is None:
            return web.Response(status=404, text="no such page\n")
        about = offer.picture
        title, alt = html.escape(about.title), html.escape(about.alt, quote=True)
        body = (
            f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1><img src="{offer.path}" alt="{alt}">'
        )
        return web.Response(text=body, content_type="text/html")

    async def picture(self, request: web.Request) -> web.StreamResponse:
        host = _host(request)
        if host == hosts.MOVED:
            return self._moved(request)
        offer = self._places.get((host, request.path))
        if offer is None:
            return web.Response(status=404, text="no such picture\n")
        match host:
            case hosts.GONE:
                return web.Response(status=offer.dead_status, text="gone\n")
            case hosts.LIAR:
                return web.Response(text="<!doctype html><title>Sign in</title>", content_type="image/jpeg")
            case hosts.BUSY if self._too_fast():
                return web.Response(status=429, headers={"Retry-After": "1"}, text="not so fast\n")
            case hosts.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
            case hosts.MIRROR:
                return web.Response(body=self._read(offer.picture.file, True), content_type="image/jpeg")
        headers = hosts.HEADERS.get(host)
        kind = TYPES[offer.path.rsplit(".", 1)[1]]
        return web.Response(body=self._read(offer.picture.file, False), content_type=kind, headers=headers)

    def _moved(self, request: web.Request) -> web.StreamResponse:
        """/pictures/X -> /old/X on the same host -> the picture's home; every fifth goes round in a circle."""
        name = request.match_info["name"]
        offer = self._places.get((hosts.MOVED, f"/pictures/{name}"))
        if offer is None:
            return web.Response(status=404, text="no such picture\n")
        if offer.goes_round:
            return web.Response(status=302, headers={"Location": f"/loop/{name}"})
        if request.match_info["folder"] == "pictures":
            return web.Response(status=301, headers={"Location": f"/old/{name}"})
        home = hosts.HOMES[offer.picture.source]
        return web.Response(status=302, headers={"Location": f"http://{home}{offer.path}"})

    def _too_fast(self) -> bool:
        now = self._clock()
        if len(self._busy) == BUSY_REQUESTS and now - self._busy[0] < BUSY_SECONDS:
            return True
        self._busy.append(now)
        return False

    def _bytes(self, file: str, smaller: bool) -> bytes:
        data = (self._corpus / file).read_bytes()
        return _recompressed(data) if smaller else data


def _recompressed(data: bytes) -> bytes:
    """A smaller JPEG on white, as sites make them of other people's pictures."""
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    target = io.BytesIO()
    white.convert("RGB").resize(_smaller(*image.size), Image.Resampling.LANCZOS).save(
        target, "JPEG", quality=MIRROR_QUALITY
    )
    return target.getvalue()


def _smaller(width: int, height: int) -> tuple[int, int]:
    return max(1, round(width * MIRROR_SHARE)), max(1, round(height * MIRROR_SHARE))


def access_log(log: TextIO) -> Any:
    """A middleware that writes one JSON line a request, after it was answered."""

    @web.middleware
    async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as exc:
            status = exc.status
            raise
        finally:
            entry = {"at": time.time(), "host": _host(request), "path": request.path_qs, "status": status}
            log.write(json.dumps(entry | {"user_agent": request.headers.get("User-Agent", "")}) + "\n")
            log.flush()
        return response

    return noted


def _words_of(picture: Picture) -> tuple[str, str]:
    return picture.title, " ".join([picture.alt, *picture.keywords])


def _host(request: web.Request) -> str:
    return request.host.rsplit(":", 1)[0].lower()


def _list(request: web.Request, name: str) -> list[str]:
    return [word for word in request.query.get(name, "").split(",") if word]


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise ValueError(f"{name}={text!r}: a number from 1 to {most}")
    return int(text)


def _bad(message: str) -> web.Response:
    return web.json_response({"error": message}, status=400)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    args = parser.parse_args()
    args.state.mkdir(parents=True, exist_ok=True)
    with (args.state / "access.jsonl").open("a") as log:
        app = DemoWeb(args.corpus).application(log)
        web.run_app(app, host=LOOPBACK, port=args.port, print=None, access_log=None, shutdown_timeout=0.5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
