"""The shards of a run on this machine: fetched, looked through, opened for a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import structlog

from entityflow.metrics import TRAINER_LOST_SHARDS
from services.trainer.admission import admit
from services.trainer.batches import OpenShard
from services.trainer.heldout import HeldOut, held_out, read_heldout
from services.trainer.knowledge import Knowledge
from services.trainer.ledger import Entry, Ledger, ShardRef
from services.trainer.plans import Plan
from services.trainer.reasons import GONE, WRONG_CHECKSUM, BadShard
from services.trainer.samples import ShardFile
from services.trainer.shard_cache import file_sha256
from services.trainer.store import Missing


class Fetch(Protocol):
    """A shard's tar as a file on this machine."""

    def fetch(self, name: str, key: str, sha256: str) -> Path:
        """Raises Missing and BadShard."""

    def is_there(self, key: str) -> bool:
        """Where it comes from, whatever this machine holds. Raises Retryable while that cannot be known."""

    def drop(self, sha256: str) -> None:
        """Remove what this machine holds of it."""

    def trim(self, in_use: Collection[Path]) -> None:
        """Free room; files in use stay."""


class FilesInPlace:
    """Tars that are here already: hashed when they are first used and whenever they were touched."""

    def __init__(self) -> None:
        self._hashed: dict[Path, tuple[int, int, str]] = {}

    def fetch(self, name: str, key: str, sha256: str) -> Path:
        path = Path(key)
        if not path.exists():
            raise Missing(key)
        state = path.stat()
        if self._hashed.get(path) != (state.st_size, state.st_mtime_ns, sha256):
            if file_sha256(path) != sha256:
                raise BadShard(name, "changed while it was in use", WRONG_CHECKSUM)
            self._hashed[path] = (state.st_size, state.st_mtime_ns, sha256)
        return path

    def is_there(self, key: str) -> bool:
        return Path(key).exists()

    def drop(self, sha256: str) -> None:
        """They are the user's own."""

    def trim(self, in_use: Collection[Path]) -> None:
        """They are the user's own."""


class ShardRoom:
    """`heldout_share`: of shards without a held-out tar, the share of samples that is never trained on."""

    def __init__(self, fetch: Fetch, heldout_share: float = 0.0) -> None:
        self._fetch, self._heldout_share = fetch, heldout_share
        self._log = structlog.get_logger()

    def admit_all(
        self, ledger: Ledger, references: Iterable[ShardRef], knowledge: Knowledge
    ) -> tuple[Ledger, Counter[str]]:
        """The ledger with these shards in it; what cannot be used is in it too, with the reason. And the samples of
        each entity in shards that were not there in any version."""
        entities: Counter[str] = Counter()
        for reference in references:
            if ledger.is_news(reference):
                entry, counts = self._look_through(reference, knowledge)
                if reference.shard_id not in ledger.entries:
                    entities.update(counts)
                ledger = ledger.admit(entry)
        return ledger, entities

    @contextmanager
    def opened(self, plan: Plan) -> Iterator[list[OpenShard]]:
        """The plan's shards, in its order. Raises Lost where one is not there any more."""
        with ExitStack() as stack:
            shards = []
            for source in plan.sources:
                file = self._lost_if_away(source.ref)
                stack.callback(file.close)
                shards.append(OpenShard(source, file))
            self._fetch.trim([shard.file.path for shard in shards])
            yield shards

    def withdrawn(self, plan: Plan, newest: Mapping[str, ShardRef]) -> list[str]:
        """Shards of the plan that have a newer version and whose tar was removed: it must not be used any more.

        Raises Retryable while that cannot be known.
        """
        gone = [
            source.ref
            for source in plan.sources
            if (newer := newest.get(source.ref.shard_id)) is not None
            and newer.version > source.ref.version
            and not self._fetch.is_there(source.ref.tar)
        ]
        for ref in gone:
            self._fetch.drop(ref.sha256)
        return [ref.shard_id for ref in gone]

    def heldout(self, ledger: Ledger) -> list[HeldOut]:
        """The held-out samples of all shards that are there."""
        return read_heldout(self._heldout_files(ledger))

    def some_of(self, entries: Iterable[Entry], limit: int) -> list[HeldOut]:
        """At most `limit` training samples, as many of each shard; shards that are away are left out."""
        entries = list(entries)[:limit]
        found: list[HeldOut] = []
        for entry in entries:
            try:
                file = self._open(entry.ref)
            except (Missing, BadShard):
                continue
            skipped = set(entry.skipped)
            usable = [sample for sample in file.samples if sample.key not in skipped]
            found += [held_out(sample, file) for sample in usable[: max(1, limit // len(entries))]]
            file.close()
        return found

    def _look_through(self, ref: ShardRef, knowledge: Knowledge) -> tuple[Entry, Counter[str]]:
        try:
            shard = self._open(ref)
        except (Missing, BadShard) as exc:
            return self._lost_entry(ref, exc), Counter()
        try:
            admitted = admit(ref, shard, knowledge, self._share(ref))
        except BadShard as exc:
            return self._lost_entry(ref, exc), Counter()
        finally:
            shard.close()
        self._log.info("shard_admitted", shard=ref.shard_id, version=ref.version, samples=admitted.entry.samples,
                       **{why.replace("-", "_"): count for why, count in admitted.left_out.items()})  # fmt: skip
        return admitted.entry, admitted.entities

    def _lost_entry(self, ref: ShardRef, cause: Missing | BadShard) -> Entry:
        word = cause.word if isinstance(cause, BadShard) else GONE
        TRAINER_LOST_SHARDS.labels(word).inc()
        self._log.error("shard_unusable", shard=ref.shard_id, version=ref.version, reason=word, error=str(cause))
        return Entry(ref=ref, samples=0, lost=word)

    def _lost_if_away(self, ref: ShardRef) -> ShardFile:
        try:
            return self._open(ref)
        except (Missing, BadShard) as exc:
            raise Lost(ref.shard_id, exc.word if isinstance(exc, BadShard) else GONE) from exc

    def _open(self, ref: ShardRef) -> ShardFile:
        return ShardFile(self._fetch.fetch(ref.shard_id, ref.tar, ref.sha256), ref.shard_id)

    def _share(self, ref: ShardRef) -> float:
        return 0.0 if ref.heldout_tar else self._heldout_share

    def _heldout_files(self, ledger: Ledger) -> Iterator[tuple[ShardFile, float]]:
        for entry in ledger.entries.values():
            ref = entry.ref
            key, sha256, share = ref.heldout_tar, ref.heldout_sha256, 1.0
            if not key and self._heldout_share:
                key, sha256, share = ref.tar, ref.sha256, self._heldout_share
            if not key or not sha256:
                continue
            try:
                file = ShardFile(self._fetch.fetch(ref.shard_id, key, sha256), ref.shard_id)
            except (Missing, BadShard) as exc:
                self._log.error("heldout_unusable", shard=ref.shard_id, error=str(exc))
                continue
            yield file, share
            file.close()


class Lost(Exception):
    """A shard of the plan is not there any more, or other than it was."""

    def __init__(self, shard_id: str, reason: str) -> None:
        super().__init__(f"{shard_id}: {reason}")
        self.shard_id, self.reason = shard_id, reason
