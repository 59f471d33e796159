"""What the operator decides: hosts that are never asked, addresses whose owners opted out, licences that are taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from entityflow.addresses import BadAddress, WebAddress, parse_address
from entityflow.errors import UsageError
from entityflow.records import License
from services.fetcher.permission import Judgement

_CC_PATH = re.compile(r"creativecommons\.org/(?:licenses|publicdomain)/([a-z-]+)")
_WORDS = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
SAME_LICENSE = {"publicdomain": "pdm", "public-domain": "pdm", "pd": "pdm", "mark": "pdm", "zero": "cc0"}


@dataclass(frozen=True, slots=True)
class OperatorLists:
    """`denied_hosts` cover their subdomains. `opted_out`: url_id, host, or by host the beginnings of its addresses."""

    denied_hosts: frozenset[str] = frozenset()
    opted_out: frozenset[str] = frozenset()
    opted_out_prefixes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    licenses: frozenset[str] = frozenset()

    def refusal(self, address: WebAddress) -> Judgement | None:
        for host in _suffixes(address.host):
            if host in self.denied_hosts:
                return Judgement("host-denied", (f"host deny list: {host}",))
            if host in self.opted_out:
                return Judgement("opted-out", (f"opt-out list: {host}",))
        if address.url_id in self.opted_out:
            return Judgement("opted-out", ("opt-out list: this address",))
        for prefix in self.opted_out_prefixes.get(address.host, ()):
            if address.canonical.startswith(prefix):
                return Judgement("opted-out", (f"opt-out list: {prefix}*",))
        return None

    def license_refusal(self, license_: License | None) -> Judgement | None:
        """Where a list is given, a candidate without a licence is refused too."""
        if not self.licenses:
            return None
        said = license_name(license_)
        if said in self.licenses:
            return None
        return Judgement("license-refused", (f"licence: {said or 'none given'}",))


def license_name(license_: License | None) -> str:
    """`by-sa` for CC BY-SA 4.0 in every way of writing it; empty where nothing is said."""
    if license_ is None:
        return ""
    by_url = _CC_PATH.search((license_.url or "").lower())
    words = _WORDS.findall(by_url[1] if by_url else (license_.id or "").lower())
    if words[:2] == ["cc", "0"]:
        return "cc0"
    name = "-".join(word for word in words if word[0].isalpha() and word not in ("cc", "license", "licence"))
    return SAME_LICENSE.get(name, name)


def load_lists(
    *, denied_hosts: Iterable[str], denied_hosts_file: Path | None, opt_out_file: Path | None, licenses: Iterable[str]
) -> OperatorLists:
    """Raises UsageError that names the file and the line."""
    denied = [*denied_hosts, *(text for _, text in _lines("DENIED_HOSTS_FILE", denied_hosts_file))]
    out: set[str] = set()
    prefixes: dict[str, list[str]] = {}
    for number, text in _lines("OPT_OUT_FILE", opt_out_file):
        if "://" not in text:
            out.add(text.lower().strip("."))
            continue
        try:
            address = parse_address(text.removesuffix("*"))
        except BadAddress as exc:
            raise UsageError(
                f"{opt_out_file}, line {number}: {text!r}: {exc}", hint="a host, an address, or ADDRESS* for all below"
            ) from exc
        if text.endswith("*"):
            prefixes.setdefault(address.host, []).append(address.canonical)
        else:
            out.add(address.url_id)
    return OperatorLists(
        frozenset(host.lower().strip(".") for host in denied),
        frozenset(out),
        {host: tuple(found) for host, found in prefixes.items()},
        frozenset(license_name(License(id=name)) for name in licenses),
    )


def _lines(name: str, path: Path | None) -> Iterator[tuple[int, str]]:
    """(number, text) of what is neither empty nor a remark."""
    if path is None:
        return
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeError) as exc:
        raise UsageError(
            f"ENTITYFLOW_FETCHER_{name}={str(path)!r}: {exc}", hint="a text file, one entry a line"
        ) from exc
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip() if line.lstrip().startswith("#") or " #" in line else line.strip()
        if text:
            yield number, text


def _suffixes(host: str) -> Iterator[str]:
    yield host
    while "." in host and ":" not in host:
        host = host.partition(".")[2]
        yield host
