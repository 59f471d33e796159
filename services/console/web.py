"""The console's HTTP side: the page, its figures and the pictures; it changes nothing anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from entityflow.errors import UserError
from services.console.settings import ConsoleSettings
from services.console.view import View

# pictures come from strangers and texts with them: nothing but our own page, style and script runs
POLICY = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'"
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
PAGE = {"/": "page.html", "/page.css": "page.css", "/page.js": "page.js"}
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def application(view: View, anyone: bool) -> web.Application:
    """`anyone`: whether other host names than the loopback's are answered."""
    app = web.Application(middlewares=[_guarded(anyone)])
    for path, name in PAGE.items():
        app.router.add_get(path, _file(name))
    app.router.add_get("/healthz", _healthy)
    app.router.add_get("/api", lambda _request: _figures(view))
    app.router.add_get("/pictures/{image_id}.jpg", lambda request: _picture(view, request.match_info["image_id"]))
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
    return web.json_response(view.document(), headers={"Cache-Control": "no-store"})


async def _picture(view: View, image_id: str) -> web.StreamResponse:
    payload = view.payload(image_id)
    if payload is None:
        raise web.HTTPNotFound(text="not among the newest pictures\n")
    return web.Response(body=payload, content_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})


@asynccontextmanager
async def serving(view: View, settings: ConsoleSettings) -> AsyncIterator[str]:
    """Serve; gives the address."""
    loopback = settings.console_bind in ("127.0.0.1", "::1")
    runner = web.AppRunner(application(view, anyone=not loopback), access_log=None)
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
