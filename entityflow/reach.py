"""Where requests may go: the static host map, the guard against our own net, the rule of the contact address."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aiohttp.abc import AbstractResolver, ResolveResult

from entityflow.addresses import WebAddress, is_ip, is_loopback, is_private, is_public_ip
from entityflow.errors import UsageError
from entityflow.settings import Settings

LOOKUP_THREADS = 16
FIRST_UNPRIVILEGED_PORT = 1024


class PrivateAddress(OSError):
    """A name that leads into a net which no web page may send us to."""


class NoContact(OSError):
    """A host of the Internet while no contact address is set."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where requests may go. `mapped`: host -> (address, port or none) that are not looked up and always allowed."""

    mapped: Mapping[str, tuple[str, int | None]]
    contact: str = ""
    allow_loopback: bool = False

    def refusal(self, address: WebAddress) -> str | None:
        """Why no connection may be made, as far as the text of the address tells; none = go on to the look-up."""
        if address.host in self.mapped or self._is_local_server(address):
            return None
        if is_private(address.host):
            return "private-address"
        return None if self.contact else "no-contact"

    def is_local(self, address: WebAddress) -> bool:
        """Whether the server is one of ours: mapped or loopback."""
        return address.host in self.mapped or is_loopback(address.host)

    def _is_local_server(self, address: WebAddress) -> bool:
        return self.allow_loopback and is_loopback(address.host) and address.port >= FIRST_UNPRIVILEGED_PORT


def load_reach(settings: Settings, *, allow_loopback: bool = False) -> Reach:
    """From `resolve_file` and `contact`; raises UsageError for a file that cannot be used."""
    path = settings.resolve_file
    return Reach(_read_map(path) if path else {}, settings.contact, allow_loopback)


def _read_map(path: Path) -> dict[str, tuple[str, int | None]]:
    hint = 'it holds JSON like {"pictures.test": "127.0.0.1:8080"}'
    try:
        entries = json.loads(path.read_text())
        return {host.lower(): _target(target) for host, target in entries.items()}
    except (OSError, ValueError, AttributeError) as exc:
        raise UsageError(f"ENTITYFLOW_RESOLVE_FILE={str(path)!r}: {exc}", hint=hint) from exc


def _target(target: str) -> tuple[str, int | None]:
    ip, separator, port = target.rpartition(":")
    if separator and is_ip(ip.strip("[]")):
        return ip.strip("[]"), int(port)
    if not is_ip(target):
        raise ValueError(f"{target!r} is neither ADDRESS:PORT nor an address")
    return target, None


class CheckedResolver(AbstractResolver):
    """Looks names up in threads of its own and lets only allowed addresses through."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if mapped := self._reach.mapped.get(host):
            ip, mapped_port = mapped
            return [_result(host, ip, mapped_port or port)]
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        )
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for ip in addresses:
            self._check(host, ip)
        return [_result(host, ip, port) for ip in addresses]

    def _check(self, host: str, ip: str) -> None:
        if is_loopback(ip) and self._reach.allow_loopback and is_loopback(host):
            return
        if not is_public_ip(ip.partition("%")[0]):
            raise PrivateAddress(f"{host} leads to {ip}")
        if not self._reach.contact:
            raise NoContact(host)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _result(host: str, ip: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return ResolveResult(
        hostname=host, host=ip, port=port, family=family, proto=socket.IPPROTO_TCP, flags=socket.AI_NUMERICHOST
    )
