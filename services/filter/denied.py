"""Hosts and pages whose pictures are never taken: mirrors of benchmarks, and whatever a domain adds."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

DENIED_PAGE = "denied-page"


class DeniedPages:
    """Entries are `host` (its subdomains too) or `host/beginning-of-a-path`."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._paths: dict[str, tuple[str, ...]] = {}
        for entry in entries:
            host, _, path = entry.strip().casefold().removeprefix("https://").removeprefix("http://").partition("/")
            host = host.removeprefix("www.")
            self._paths[host] = (*self._paths.get(host, ()), path.strip("/"))

    def covers(self, *addresses: str | None) -> bool:
        """Whether one of the addresses lies on a denied host, or below a denied path of it."""
        return any(self._covers(address) for address in addresses if address)

    def _covers(self, address: str) -> bool:
        try:
            parts = urlsplit(address)
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            return False
        path = parts.path.strip("/").casefold()
        while host:
            if any(_is_below(path, beginning) for beginning in self._paths.get(host, ())):
                return True
            host = host.partition(".")[2]
        return False


def _is_below(path: str, beginning: str) -> bool:
    return not beginning or path == beginning or path.startswith(beginning + "/")
