"""What was learned later becomes the next version of the shards that it concerns.

Safe to be killed and to be run twice at once: files first, then the manifest that nobody overwrites, then the event,
which is told again for every version that the topic does not know; a fold that comes again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, cast

import pyarrow.parquet as pq

from entityflow.objects import Objects
from entityflow.records import Amend, Record, Shard
from entityflow.shards import REMOVED, Folded, Manifest, list_manifests, newest_manifest
from entityflow.tombstones import Tombstones
from services.sharder.folding import KINDS, Fate, fold, is_forgotten_copy, may_change, without_picture
from services.sharder.learned import LearnedAmends
from services.sharder.progress import Progress
from services.sharder.samples import pair_of
from services.sharder.tables import TableCache
from services.sharder.versions import Row, Stored, next_version, stored


class Logs(Protocol):
    """The topics that the job reads, and the one that it writes."""

    def amend_uuid(self) -> str: ...

    def tombstone_uuid(self) -> str: ...

    def tombstones(self) -> Iterator[tuple[int, str, Record | None]]:
        """Offset, key and record; none = the key is deleted."""

    def amends(self, partition: int, start: int | None) -> Iterator[tuple[int, Record | None]]:
        """Offset and record from a place on; none = the first that there is. Raises LossDetected where it is gone."""

    def told(self) -> Mapping[str, int]:
        """The version of each shard that was told last in the topic `shard`."""

    def tell(self, events: Iterable[Shard]) -> None: ...


@dataclass(frozen=True, slots=True)
class Rewritten:
    shard_id: str
    version: int
    samples: int
    changed: int
    removed: int
    over_caps: int


@dataclass
class Summary:
    """unplaced: amends whose sample is in no shard yet: they wait for it. unknown: those of a later version's kinds."""

    rewritten: list[Rewritten] = field(default_factory=list)
    events: int = 0
    unplaced: int = 0
    unknown: int = 0


class Rewriting:
    """One run of the job, in a folder of its own; `tables` may be shared. `publishes` false: it only counts."""

    def __init__(self, objects: Objects, logs: Logs, folder: Path, tables: Path, publishes: bool = True) -> None:
        self._objects, self._logs, self._folder, self._publishes = objects, logs, folder, publishes
        self._tables = TableCache(objects, tables)
        self._tombstones = Tombstones()
        self._tombstone_end = 0
        self.summary = Summary()

    def run(self) -> Summary:
        self._read_tombstones()
        progress = Progress.read(self._objects, self._logs.amend_uuid(), self._logs.tombstone_uuid())
        partitions: dict[int, list[Manifest]] = {}
        for manifest in list_manifests(self._objects):
            partitions.setdefault(manifest.input.partition, []).append(manifest)
        for partition, manifests in partitions.items():
            progress = self._partition(partition, manifests, progress)
        if self._publishes:
            self._tell()
            replace(progress, tombstones=self._tombstone_end).write(self._objects)
        return self.summary

    def _read_tombstones(self) -> None:
        for offset, key, record in self._logs.tombstones():
            self._tombstones.learn(key, record)
            self._tombstone_end = offset + 1

    def _partition(self, partition: int, manifests: list[Manifest], progress: Progress) -> Progress:
        """Rewrites what must be; returns how far the partition is done then."""
        name = str(partition)
        is_news = self._tombstone_end > progress.tombstones
        checked = -1 if is_news else progress.checked.get(name, -1)
        resume = progress.amends.get(name, 0)
        with LearnedAmends(self._folder) as learned:
            end = self._read_amends(learned, partition, resume, again=is_news and resume > 0)
            folded = Folded(amend_uuid=progress.amend_uuid, amend_end=end, tombstone_end=self._tombstone_end)
            for manifest in manifests:
                self._shard(manifest, learned, folded, is_unchecked=manifest.input.end > checked)
            first = learned.first_unplaced()
            self.summary.unplaced += learned.unplaced()
        return replace(
            progress,
            amends={**progress.amends, name: end if first is None else first},
            checked={**progress.checked, name: manifests[-1].input.end},
        )

    def _read_amends(self, learned: LearnedAmends, partition: int, resume: int, again: bool) -> int:
        """The end of the log. `again`: those from before too, for the copies in them that a new tombstone may cover."""
        end = resume
        for offset, record in self._logs.amends(partition, None if again else resume):
            end = max(end, offset + 1)
            if isinstance(record, Amend) and record.kind in KINDS:
                learned.add(offset, record)
            else:
                self.summary.unknown += 1
        return end

    def _shard(self, manifest: Manifest, learned: LearnedAmends, folded: Folded, is_unchecked: bool) -> None:
        while manifest.table is not None:
            rows = self._rows(manifest)
            concerned = self._concerned(rows, learned, _folded_to(manifest, folded.amend_uuid), is_unchecked)
            if not concerned or self._rewritten(manifest, rows, concerned, folded):
                return
            manifest = newest_manifest(self._objects, manifest)  # another run was faster

    def _rows(self, manifest: Manifest) -> list[Row]:
        assert manifest.table is not None
        return cast(list[Row], pq.read_table(self._tables.path(manifest.table)).to_pylist())

    def _concerned(
        self, rows: Iterable[Row], learned: LearnedAmends, folded_to: int, is_unchecked: bool
    ) -> dict[str, list[Amend]]:
        """Samples that may change, by what their rows say, with what was learned of them."""
        found: dict[str, list[Amend]] = {}
        for row in rows:
            amends = learned.of(row["key"])
            if row["status"] == REMOVED:
                continue
            news = [one for at, one in amends if at >= folded_to or is_forgotten_copy(one, self._tombstones)]
            if may_change(row["candidates"], news, self._tombstones) or (is_unchecked and self._is_covered(row)):
                found[row["key"]] = [one for _, one in amends]
        return found

    def _is_covered(self, row: Row) -> bool:
        if self._tombstones.of_picture(row["key"]):
            return True
        places = zip(row["urls"], row["page_urls"], strict=True)
        return any(self._tombstones.of_source(url, page) for url, page in places)

    def _rewritten(
        self, manifest: Manifest, rows: list[Row], concerned: Mapping[str, list[Amend]], folded: Folded
    ) -> bool:
        """Whether the newest version holds all now; false where another run has made one meanwhile."""
        with stored(self._objects, manifest, rows, self._folder) as shard:
            fates = dict(self._fates(shard, concerned))
            if not fates:
                return True
            forgotten = sum(fate.forgotten for fate in fates.values())
            with next_version(shard, fates, replace(folded, forgotten=forgotten), self._folder) as finished:
                if self._publishes and not self._publish(manifest, finished.manifest, finished.files):
                    return False
        self._note(finished.manifest, fates)
        return True

    def _fates(self, shard: Stored, concerned: Mapping[str, list[Amend]]) -> Iterator[tuple[str, Fate]]:
        for row in shard.rows:
            if row["key"] in concerned:
                (_, picture), _, (_, described) = shard.members(row)
                before = pair_of(described, picture)
                fate = fold(before, concerned[row["key"]], self._tombstones)
                if fate.pair != before:
                    yield row["key"], without_picture(fate)

    def _publish(self, before: Manifest, manifest: Manifest, files: Iterable[tuple[Path, str]]) -> bool:
        there = {item.key for item in before.objects}
        for path, key in files:
            if key not in there:
                self._objects.put(key, path)
        return self._objects.put_if_absent(manifest.key, manifest.encode())

    def _note(self, manifest: Manifest, fates: Mapping[str, Fate]) -> None:
        removed = sum(fate.pair is None for fate in fates.values())
        self.summary.rewritten.append(
            Rewritten(
                shard_id=manifest.shard_id,
                version=manifest.version,
                samples=manifest.count + manifest.heldout_count,
                changed=len(fates) - removed,
                removed=removed,
                over_caps=sum(fate.over_caps for fate in fates.values()),
            )
        )

    def _tell(self) -> None:
        """Of every version above the first that the topic does not know: this run's, and those of runs that died."""
        told = self._logs.told()
        later = (one for one in list_manifests(self._objects) if one.version > max(1, told.get(one.shard_id, 0)))
        events = [event for manifest in later if (event := manifest.event())]
        self._logs.tell(events)
        self.summary.events = len(events)


def _folded_to(manifest: Manifest, amend_uuid: str) -> int:
    """Amends before this offset are in the version already."""
    folded = manifest.folded
    return folded.amend_end if folded is not None and folded.amend_uuid == amend_uuid else 0
