"""The console's HTTP side: the page, its figures and the pictures; it changes nothing anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from entityflow.errors import EntityflowError, UserError
from entityflow.outcomes import ACCEPTED, MERGED
from services.console.gallery import Gallery, meaning
from services.console.settings import ConsoleSettings
from services.console.view import SCHEMA, View

T = TypeVar("T")

# pictures come from strangers and texts with them: nothing but our own page, style and script runs
POLICY = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'"
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
PAGE = {
    "/": "page.html",
    "/reasons": "reasons.html",
    "/clusters": "clusters.html",
    "/page.css": "page.css",
    "/page.js": "page.js",
    "/elements.js": "elements.js",
    "/reasons.js": "reasons.js",
    "/clusters.js": "clusters.js",
}
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def application(view: View, gallery: Gallery, anyone: bool) -> web.Application:
    """`anyone`: whether other host names than the loopback's are answered."""
    app = web.Application(middlewares=[_guarded(anyone)])
    for path, name in PAGE.items():
        app.router.add_get(path, _file(name))
    app.router.add_get("/healthz", _healthy)
    app.router.add_get("/api", lambda _request: _figures(view))
    app.router.add_get("/api/reasons", lambda _request: _reasons(view, gallery))
    app.router.add_get("/api/reasons/{reason}", lambda request: _examples(gallery, request.match_info["reason"]))
    app.router.add_get("/api/clusters", lambda _request: _clusters(view))
    app.router.add_get(
        "/pictures/{image_id}.jpg", lambda request: _picture(view, gallery, request.match_info["image_id"])
    )
    app.router.add_get("/examples/{reason}/{image_id}.jpg", lambda request: _example(gallery, **request.match_info))
    return app


def _guarded(anyone: bool) -> Middleware:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        """A page elsewhere that points its own name at this machine must not read what lies here."""
        if not anyone and request.host.rsplit(":", 1)[0] not in LOOPBACK_NAMES:
            raise web.HTTPForbidden(text="the console answers on its loopback address only\n")
        response = await handler(request)
        response.headers.update(HEADERS)
        return response

    return guarded


def _file(name: str) -> Handler:
    text = (files("services.console") / name).read_text(encoding="utf-8")

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type=TYPES[name.rpartition(".")[2]])

    return answer


async def _healthy(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="ok\n")


async def _figures(view: View) -> web.StreamResponse:
    return _json(view.document())


async def _reasons(view: View, gallery: Gallery) -> web.StreamResponse:
    """Every reason that dropped something or has an example, the most frequent first."""
    counts, kept = view.counts(), await _asked(gallery.reasons)
    names = sorted((counts.keys() | kept.keys()) - {ACCEPTED}, key=lambda reason: (-counts.get(reason, 0), reason))
    rows = [
        {"reason": name, "count": counts.get(name, 0), "examples": kept.get(name, 0), **meaning(name)} for name in names
    ]
    return _json({"schema": SCHEMA, "reasons": rows})


async def _examples(gallery: Gallery, reason: str) -> web.StreamResponse:
    return _json({"schema": SCHEMA, "reason": reason, "examples": await _asked(gallery.examples, reason)})


async def _clusters(view: View) -> web.StreamResponse:
    return _json({"schema": SCHEMA, "clusters": view.clusters.document()})


async def _picture(view: View, gallery: Gallery, image_id: str) -> web.StreamResponse:
    """One of the newest pairs, a picture of a shard, or the example of a merged one."""
    payload = view.payload(image_id) or await _asked(gallery.example, MERGED, image_id)
    if payload is None:
        payload = await _asked(gallery.picture, image_id)
    return _jpeg(payload)


async def _example(gallery: Gallery, reason: str, image_id: str) -> web.StreamResponse:
    return _jpeg(await _asked(gallery.example, reason, image_id))


async def _asked(call: Callable[..., T], *words: str) -> T:
    """Of the bucket, in a thread; while it is away the answer is 503."""
    if not all(word.replace("-", "").isalnum() for word in words):
        raise web.HTTPNotFound(text="no such name\n")
    try:
        return await asyncio.to_thread(call, *words)
    except EntityflowError as exc:
        raise web.HTTPServiceUnavailable(text=f"the bucket does not answer: {exc}\n") from exc


def _json(document: Mapping[str, object]) -> web.StreamResponse:
    return web.json_response(document, headers={"Cache-Control": "no-store"})


def _jpeg(payload: bytes | None) -> web.StreamResponse:
    if payload is None:
        raise web.HTTPNotFound(text="no such picture\n")
    return web.Response(body=payload, content_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})


@asynccontextmanager
async def serving(view: View, gallery: Gallery, settings: ConsoleSettings) -> AsyncIterator[str]:
    """Serve; gives the address."""
    loopback = settings.console_bind in ("127.0.0.1", "::1")
    runner = web.AppRunner(application(view, gallery, anyone=not loopback), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.console_bind, settings.console_port)
        try:
            await site.start()
        except OSError as exc:
            raise UserError(
                f"the console cannot listen on {settings.console_bind}:{settings.console_port}: {exc.strerror}",
                hint="ENTITYFLOW_CONSOLE_PORT=0 takes a free port",
            ) from exc
        address = f"http://{settings.console_bind}:{runner.addresses[0][1]}"
        if settings.console_address_file is not None:
            settings.console_address_file.write_text(address)
        yield address
    finally:
        await runner.cleanup()
