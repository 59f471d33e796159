"""Which addresses of the Internet Protocol are public: everything else may be a machine of our own net."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

# IANA special-purpose registries (RFC 6890 and what was added since), whether or not a router would forward them;
# kept here because the standard library's list differs from release to release
_SPECIAL = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
    "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)  # fmt: skip
SPECIAL = tuple(ipaddress.ip_network(text) for text in _SPECIAL)
# prefixes that carry an IPv4 address in their last four bytes
_CARRIERS = tuple(ipaddress.IPv6Network(text) for text in ("::ffff:0:0/96", "64:ff9b::/96"))


@lru_cache(maxsize=65536)
def is_public_ip(address: str) -> bool:
    """Whether the Internet routes to it. One wrapped in IPv6 by translation counts as what it wraps; tunnels do not."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and "%" not in address and any(ip in net for net in _CARRIERS):
        return is_public_ip(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    if "%" in address:
        return False
    return not any(ip.version == net.version and ip in net for net in SPECIAL)
