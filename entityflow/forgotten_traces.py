"""Where an address stands in clear besides the records that age: the fetcher's memory and kept answers of searches."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from entityflow.addresses import WebAddress
from entityflow.admin import Admin
from entityflow.objects import Objects
from entityflow.records import Address, Host
from entityflow.settings import Settings
from entityflow.stage import Send, read_topic
from entityflow.tombstones import Tombstones, as_address
from entityflow.topics import partition_of

ADDRESSES, HOSTS = "address", "host"
SEARCHES = "searches/"
MOST_HOPS = 20
IN_TEXT = re.compile(r"https?://[^\s\"'<>\\]+")


def led_to(settings: Settings, address: WebAddress) -> list[WebAddress]:
    """The addresses to which it redirected when it was asked, the one that gave the picture last."""
    count = Admin(settings).partitions([ADDRESSES])[ADDRESSES]
    tables: dict[int, dict[str, Address]] = {}
    found: list[WebAddress] = []
    while len(found) < MOST_HOPS:
        partition = partition_of(address.host_key.encode(), count)
        if partition not in tables:
            tables[partition] = _table(settings, partition)
        target = as_address(getattr(tables[partition].get(address.url_id), "final_url", None))
        if target is None or target.canonical in {address.canonical, *(one.canonical for one in found)}:
            break
        found.append(target)
        address = target
    return found


def _table(settings: Settings, partition: int) -> dict[str, Address]:
    """One partition of `address`, as it stands."""
    low = Admin(settings).starts([(ADDRESSES, partition)])[ADDRESSES, partition]
    table: dict[str, Address] = {}
    for message, record in read_topic(settings, ADDRESSES, {partition: low}):
        key = (message.key or b"").decode("utf-8", "replace")
        if isinstance(record, Address):
            table[key] = record
        else:
            table.pop(key, None)
    return table


def deletions(settings: Settings, tombstones: Tombstones) -> list[Send]:
    """What takes covered addresses and hosts out of the compacted topics of the fetcher."""
    found: dict[tuple[str, str], Send] = {}
    for topic in (ADDRESSES, HOSTS):
        for message, record in read_topic(settings, topic):
            key = (message.key or b"").decode("utf-8", "replace")
            if _names_covered(tombstones, record):
                found[topic, key] = Send(topic, None, key=key, partition=message.partition)
            else:
                found.pop((topic, key), None)
    return list(found.values())


def _names_covered(tombstones: Tombstones, record: object) -> bool:
    if isinstance(record, Host):
        address = as_address(f"http://{record.host_key}/")
        return address is not None and tombstones.of_host(address.host) is not None
    return isinstance(record, Address) and tombstones.of_source(record.final_url, None) is not None


def covered_searches(objects: Objects, tombstones: Tombstones) -> Iterator[str]:
    """Keys of the kept answers of providers that name something covered."""
    for stored in objects.list(SEARCHES):
        if any(_is_covered(tombstones, text) for text in _addresses(objects.get(stored.key))):
            yield stored.key


def _addresses(answer: bytes) -> Iterator[str]:
    """Every text of an answer that may be an address; of one that is no JSON, whatever looks like one."""
    try:
        yield from _texts(json.loads(answer))
    except ValueError:
        yield from IN_TEXT.findall(answer.decode("utf-8", "replace"))


def _is_covered(tombstones: Tombstones, text: str) -> bool:
    address = as_address(text) if "://" in text else None
    return address is not None and bool(tombstones.of_address(address) or tombstones.of_page(address))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, (list, dict)):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _texts(inner)
