"""Where requests may go: the static host map, the guard against our own net, the rule of the contact address."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp.abc import AbstractResolver, ResolveResult

from entityflow.addresses import WebAddress, is_ip, is_loopback, is_private
from entityflow.errors import UsageError
from entityflow.lookups import Lookups
from entityflow.networks import is_public_ip
from entityflow.settings import Settings

FIRST_UNPRIVILEGED_PORT = 1024


class PrivateAddress(OSError):
    """A name that leads into a net which no web page may send us to."""


class NoContact(OSError):
    """A host of the Internet while no contact address is set."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where requests may go. `mapped`: host -> (address, port or none) that are not looked up and always allowed.

    ports: of hosts of the Internet; none = any. `local_servers`: (host, port) in private nets that are allowed.
    """

    mapped: Mapping[str, tuple[str, int | None]]
    contact: str = ""
    allow_loopback: bool = False
    ports: frozenset[int] | None = None
    local_servers: frozenset[tuple[str, int]] = frozenset()

    def refusal(self, address: WebAddress) -> str | None:
        """Why no connection may be made, as far as the text of the address tells; none = go on to the look-up."""
        if address.host in self.mapped or self._is_local_server(address):
            return None
        if is_private(address.host):
            return "private-address"
        if self.ports is not None and address.port not in self.ports:
            return "forbidden-port"
        return None if self.contact else "no-contact"

    def is_local(self, address: WebAddress) -> bool:
        """Whether the server is one of ours: mapped, listed or loopback."""
        listed = (address.host, address.port) in self.local_servers
        return listed or address.host in self.mapped or is_loopback(address.host)

    def check(self, host: str, port: int, ip: str) -> None:
        """Raises PrivateAddress or NoContact where the name leads to what it must not lead to."""
        if (host, port) in self.local_servers:
            return
        if is_loopback(ip) and self.allow_loopback and is_loopback(host):
            return
        if not is_public_ip(ip):
            raise PrivateAddress(f"{host} leads to {ip}")
        if not self.contact:
            raise NoContact(host)

    def _is_local_server(self, address: WebAddress) -> bool:
        loopback = self.allow_loopback and is_loopback(address.host) and address.port >= FIRST_UNPRIVILEGED_PORT
        return loopback or (address.host, address.port) in self.local_servers


def load_reach(
    settings: Settings,
    *,
    allow_loopback: bool = False,
    ports: Iterable[int] | None = None,
    local_servers: Iterable[str] = (),
) -> Reach:
    """From `resolve_file` and `contact`; raises UsageError for what cannot be used."""
    path = settings.resolve_file
    return Reach(
        _read_map(path) if path else {},
        settings.contact,
        allow_loopback,
        None if ports is None else frozenset(ports),
        frozenset(_server(text) for text in local_servers),
    )


def _server(text: str) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    if not colon or not port.isdecimal() or not host.strip("[]"):
        raise UsageError(f"local server {text!r}: no HOST:PORT", hint="for instance 10.0.0.5:8080")
    return host.strip("[]").lower(), int(port)


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
    """Lets only allowed addresses through, at the moment of connecting: a name cannot change its mind in between."""

    def __init__(self, reach: Reach, lookups: Lookups | None = None) -> None:
        self._reach = reach
        self._lookups = lookups or Lookups()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if mapped := self._reach.mapped.get(host):
            ip, mapped_port = mapped
            return [_result(host, ip, mapped_port or port)]
        return [_result(host, ip, port) for ip in await self.addresses(host, port)]

    async def addresses(self, host: str, port: int) -> list[str]:
        """All addresses of the name, each of them checked; of a literal one itself."""
        if mapped := self._reach.mapped.get(host):
            return [mapped[0]]
        addresses = [host] if is_ip(host) else await self._lookups.addresses(host)
        for ip in addresses:
            self._reach.check(host, port, ip)
        return addresses

    async def close(self) -> None:
        self._lookups.close()


def _result(host: str, ip: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return ResolveResult(
        hostname=host, host=ip, port=port, family=family, proto=socket.IPPROTO_TCP, flags=socket.AI_NUMERICHOST
    )
