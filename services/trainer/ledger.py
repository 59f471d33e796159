"""Which shards the trainer knows, how many samples of each can be used, and how often they were drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRef:
    """One version of a shard. Tars are named by content: the key alone says which bytes are meant."""

    shard_id: str
    version: int
    tar: str
    sha256: str
    heldout_tar: str | None = None
    heldout_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A shard and its use. `skipped` are sample keys that cannot be trained on; `lost` says why it is gone; in `group`
    it was new."""

    ref: ShardRef
    samples: int
    skipped: tuple[str, ...] = ()
    drawn: int = 0
    lost: str | None = None
    group: int | None = None

    def missing_draws(self, passes: int) -> int:
        """Draws until each sample was seen `passes` times."""
        return max(0, passes * self.samples - self.drawn)


@dataclass(frozen=True)
class Ledger:
    """By shard_id, in the order that shards came. A value: every change makes a new one."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def usable(self) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.samples and not entry.lost]

    def samples(self) -> int:
        return sum(entry.samples for entry in self.usable())

    def drawn(self) -> int:
        return sum(entry.drawn for entry in self.usable())

    def missing_draws(self, passes: int) -> int:
        return sum(entry.missing_draws(passes) for entry in self.usable())

    def is_news(self, ref: ShardRef) -> bool:
        """Whether this version is higher than what is known of the shard, or other than one that was of no use."""
        known = self.entries.get(ref.shard_id)
        if known is None:
            return True
        return known.ref.version < ref.version or (known.lost is not None and known.ref.sha256 != ref.sha256)

    def admit(self, entry: Entry) -> Ledger:
        """A new shard, or the newer version of one: then what was drawn of it stays drawn."""
        known = self.entries.get(entry.ref.shard_id)
        return self._with(replace(entry, drawn=known.drawn, group=known.group) if known else entry)

    def lose(self, shard_id: str, why: str) -> Ledger:
        return self._with(replace(self.entries[shard_id], lost=why))

    def credit(self, draws: Iterable[tuple[str, int]], group: int) -> Ledger:
        """What a group drew of each shard."""
        entries = dict(self.entries)
        for shard_id, count in draws:
            entry = entries[shard_id]
            first = group if entry.group is None and count else entry.group
            entries[shard_id] = replace(entry, drawn=entry.drawn + count, group=first)
        return Ledger(entries)

    def _with(self, entry: Entry) -> Ledger:
        return Ledger({**self.entries, entry.ref.shard_id: entry})

    def to_plain(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.entries.values()]

    @classmethod
    def from_plain(cls, plain: Iterable[Mapping[str, Any]]) -> Ledger:
        return cls({item["ref"]["shard_id"]: entry_from_plain(item) for item in plain})


def entry_from_plain(item: Mapping[str, Any]) -> Entry:
    return Entry(**{**item, "ref": ShardRef(**item["ref"]), "skipped": tuple(item["skipped"])})
