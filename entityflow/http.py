"""The web client: one session for a process, safe to point at addresses that strangers chose.

One cached TLS context, an honest User-Agent, no cookies, no proxies, no redirects of its own (callers check each hop).
Names are looked up here and only checked addresses are connected to, so that a name cannot lead into our own net.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from entityflow import __version__
from entityflow.addresses import WebAddress
from entityflow.errors import UsageError
from entityflow.lookups import Gates
from entityflow.reach import CheckedResolver, NoContact, PrivateAddress, Reach

PRODUCT = "entityflow"
MAX_HEADER_BYTES = 64 << 10  # of one line; policies of 8.5 KB are seen in the wild
MAX_HEADERS = 200
CONNECT_SECONDS = 10.0
SLOW_AFTER_SECONDS = 5.0
MIN_BYTES_PER_SECOND = 1024
HEAD_BYTES = 512  # what `check_head` sees: enough for any signature


class FetchFailed(Exception):
    """A request that gave no answer to use. `transient`: another time it may. `reason` is a stable word."""

    def __init__(self, reason: str, detail: str = "", *, transient: bool = False) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.transient = transient


def user_agent(contact: str) -> str:
    """entityflow/VERSION (+who to write to); raises UsageError for a contact that no header can hold."""
    if any(ord(character) < 32 or ord(character) > 126 or character in "()" for character in contact):
        raise UsageError(f"ENTITYFLOW_CONTACT={contact!r}: plain ASCII without brackets only")
    if not contact:
        return f"{PRODUCT}/{__version__}"
    mail = "@" in contact and "://" not in contact and not contact.startswith("mailto:")
    return f"{PRODUCT}/{__version__} (+{'mailto:' if mail else ''}{contact})"


@cache
def tls_context() -> ssl.SSLContext:
    """One for the process: making one costs about 20 ms, more than a whole request."""
    return ssl.create_default_context()


def open_session(reach: Reach, *, connections: int = 100) -> aiohttp.ClientSession:
    """A session that goes only where `reach` allows names to lead; literal addresses are `WebClient`'s to check."""
    return aiohttp.ClientSession(
        connector=CheckedConnector(reach, connections),
        headers={"User-Agent": user_agent(reach.contact), "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
    )


class CheckedConnector(aiohttp.TCPConnector):
    """Connections to checked addresses only, and never many requests at once to the same one."""

    def __init__(self, reach: Reach, connections: int) -> None:
        self.checked = CheckedResolver(reach)
        self.gates = Gates()
        super().__init__(ssl=tls_context(), resolver=self.checked, use_dns_cache=False, limit=connections)


@dataclass(slots=True)
class Response:
    """The head of an answer; its body is read on demand."""

    status: int
    headers: CIMultiDictProxy[str]
    location: str | None
    _response: aiohttp.ClientResponse

    @property
    def promised_bytes(self) -> int | None:
        return self._response.content_length

    async def body(self, max_bytes: int, check_head: Callable[[bytes], None] | None = None) -> bytes:
        """The whole body. Raises FetchFailed too-many-bytes; `check_head` sees the first bytes and may raise."""
        if (self.promised_bytes or 0) > max_bytes:
            raise FetchFailed("too-many-bytes", f"{self.promised_bytes} promised, at most {max_bytes}")
        chunks, began = bytearray(), time.monotonic()
        unchecked = check_head
        async for chunk in self._response.content.iter_any():
            chunks += chunk
            if unchecked and len(chunks) >= HEAD_BYTES:
                unchecked(bytes(chunks[:HEAD_BYTES]))
                unchecked = None
            if len(chunks) > max_bytes:
                raise FetchFailed("too-many-bytes", f"more than {max_bytes}")
            seconds = time.monotonic() - began
            if seconds > SLOW_AFTER_SECONDS and len(chunks) < seconds * MIN_BYTES_PER_SECOND:
                raise FetchFailed("timeout", f"{len(chunks)} bytes in {seconds:.0f} s", transient=True)
        return bytes(chunks)

    async def beginning(self, max_bytes: int) -> bytes:
        """At most `max_bytes` of the body; the rest is not read."""
        chunks = bytearray()
        async for chunk in self._response.content.iter_any():
            chunks += chunk
            if len(chunks) >= max_bytes:
                break
        return bytes(chunks[:max_bytes])


class WebClient:
    """Sends one GET at a time for its callers and turns every fault of the other side into FetchFailed."""

    def __init__(self, session: aiohttp.ClientSession, reach: Reach, timeout_seconds: float) -> None:
        self._session, self.reach, self._timeout_seconds = session, reach, timeout_seconds
        connector = session.connector
        if not isinstance(connector, CheckedConnector):
            raise TypeError("a session of open_session() is needed: others go anywhere")
        self._connector = connector

    def get(
        self, address: WebAddress, accept: str = "*/*", headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Response]:
        """The head of the answer, body readable inside; all of it within the total time. Raises FetchFailed."""
        return self._get(address, {"Accept": accept, **(headers or {})})

    @asynccontextmanager
    async def _get(self, address: WebAddress, headers: Mapping[str, str]) -> AsyncIterator[Response]:
        if refusal := self.reach.refusal(address):
            raise FetchFailed(refusal, address.host)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                ip, *_ = await self._connector.checked.addresses(address.host, address.port)
            async with (
                self._connector.gates.through(ip),
                asyncio.timeout(self._timeout_seconds),
                self._session.get(
                    URL(address.request, encoded=True), headers=headers, allow_redirects=False
                ) as response,
            ):
                yield Response(response.status, response.headers, _location(response), response)
        except (aiohttp.ClientError, OSError, UnicodeError, aiohttp.http.HttpProcessingError) as exc:
            raise translated(exc) from exc


def _location(response: aiohttp.ClientResponse) -> str | None:
    """Location as its bytes came: those beyond ASCII are escaped one by one, whatever their charset."""
    for name, value in response.raw_headers:
        if name.lower() == b"location":
            return "".join(chr(byte) if byte < 128 else f"%{byte:02X}" for byte in value.strip())
    return None


def translated(error: Exception) -> FetchFailed:
    """What a fault of the network or of a server means for the one who asked."""
    detail = f"{type(error).__name__}: {error}"[:200]
    cause = getattr(error, "os_error", None) or error
    match error:
        case _ if isinstance(cause, PrivateAddress):
            return FetchFailed("private-address", str(cause))
        case _ if isinstance(cause, NoContact):
            return FetchFailed("no-contact", str(cause))
        case aiohttp.ConnectionTimeoutError():
            return FetchFailed("connection-failed", detail, transient=True)
        case TimeoutError():
            return FetchFailed("timeout", "no whole answer within the time", transient=True)
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return FetchFailed("dns-failure", detail, transient=True)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return FetchFailed("tls-failure", detail)
        case aiohttp.ClientPayloadError():
            return FetchFailed("incomplete-body", detail, transient=True)
        case aiohttp.ClientConnectorError():
            return FetchFailed("connection-failed", detail, transient=True)
        case aiohttp.ClientConnectionError() | OSError():
            return FetchFailed("connection-broken", detail, transient=True)
        case _:
            return FetchFailed("bad-http", detail)
