"""Forgetting: tombstones first, then what lies in clear outside the records that age. Safe to repeat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from entityflow.addresses import parse_address
from entityflow.examples import covered_examples
from entityflow.forgotten_samples import Touched, find_touched
from entityflow.forgotten_traces import covered_searches, deletions, led_to
from entityflow.objects import Objects
from entityflow.records import Tombstone
from entityflow.settings import Settings
from entityflow.stage import Send, produce_all, read_topic
from entityflow.tombstones import URL, Tombstones, tombstone_of

TOPIC = "tombstone"
WRITTEN = (TOPIC, "address", "host")


@dataclass(frozen=True)
class Forgotten:
    """tombstones: the new ones. searches: keys of kept answers. addresses: entries of the fetcher's memory.

    examples: thumbnails that were kept for people.
    """

    tombstones: list[Tombstone]
    known: int
    touched: Touched
    searches: list[str]
    addresses: int
    examples: int = 0


def tombstones_for(settings: Settings, named: Iterable[tuple[str, str]], at: float) -> list[Tombstone]:
    """For each (kind, text) that a person named, and for every address that a named one redirected to.

    Raises UsageError for the first text that names nothing, before anything is read.
    """
    given = list(named)
    made = {one.id: one for one in (tombstone_of(kind, text, at) for kind, text in given)}
    for kind, text in given:
        if kind == URL:
            for target in led_to(settings, parse_address(text)):
                one = tombstone_of(URL, target.canonical, at)
                made.setdefault(one.id, one)
    return list(made.values())


def forget(settings: Settings, wanted: Iterable[Tombstone], dry_run: bool) -> Forgotten:
    """From the first write on nothing of it comes back, so that what is counted and cleared after it stays away."""
    chosen, before = list(wanted), read_tombstones(settings)
    new = [one for one in chosen if one.id not in before]
    if not dry_run:
        produce_all("cli", settings, [Send(TOPIC, one) for one in new], [TOPIC])
    tombstones, objects = Tombstones(), Objects(settings)
    for one in chosen:
        tombstones.learn(one.id, one)
    touched = find_touched(settings, objects, tombstones)
    sends, searches = deletions(settings, tombstones), list(covered_searches(objects, tombstones))
    examples = list(covered_examples(objects, tombstones))
    if not dry_run:
        produce_all("cli", settings, sends, WRITTEN)
        for key in (*searches, *examples):
            objects.delete(key)
    return Forgotten(new, len(chosen) - len(new), touched, searches, len(sends), len(examples))


def read_tombstones(settings: Settings) -> Tombstones:
    """All there are now."""
    found = Tombstones()
    for message, record in read_topic(settings, TOPIC):
        found.learn((message.key or b"").decode("utf-8", "replace"), record)
    return found
