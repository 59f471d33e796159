"""The index's memory in RocksDB: each batch is one atomic write, together with the offset that it ends at.

A lost or stale folder costs a rebuild, never a verdict: every verdict is in the `match` topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from rocksdict import BlockBasedOptions, Cache, Checkpoint, DBCompressionType, Options, Rdict, WriteBatch

from entityflow.errors import UserError
from services.index.blocks import Row
from services.index.guarded import Guarded
from services.index.packing import (
    GUARDED_PREFIX,
    canonical_key,
    guarded_key,
    image_key,
    pack_guarded,
    pack_registered,
    pack_row,
    row_key,
    unpack_guarded,
    unpack_registered,
    unpack_row,
)
from services.index.verdicts import Change, Entry, Registered

APPLIED, TOPIC, FORMAT = b"m.applied", b"m.topic", b"m.format"
FORMAT_VERSION = b"3"


class DiskState:
    """One folder for one `fingerprint` topic. Implements `verdicts.State`."""

    def __init__(self, folder: Path, topic_uuid: str, cache_bytes: int) -> None:
        """Open or make the folder. UserError: another process holds it, the disk is full, or it is another topic's."""
        self._folder, self._cache_bytes = folder, cache_bytes
        self._db = self._opened()
        if self._db.get(TOPIC) is not None and self._db.get(FORMAT) != FORMAT_VERSION:
            self._begin_anew()
        self._claim(topic_uuid)

    def _opened(self) -> Rdict:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return Rdict(str(self._folder), _options(self._cache_bytes))
        except Exception as exc:
            raise UserError(
                f"index state in {self._folder}: {exc}",
                hint="one index process at a time uses it; is the disk full or the folder read-only?",
            ) from exc

    def _begin_anew(self) -> None:
        """Another release wrote it in another way: it is made again from the answers."""
        self._db.close()
        Rdict.destroy(str(self._folder), _options(self._cache_bytes))
        self._db = self._opened()

    def _claim(self, topic_uuid: str) -> None:
        owner = self._db.get(TOPIC)
        if owner is None:
            self._db[TOPIC] = topic_uuid.encode()
            self._db[FORMAT] = FORMAT_VERSION
        elif owner != topic_uuid.encode():
            self.close()
            raise UserError(
                f"index state in {self._folder} belongs to a fingerprint topic {owner.decode()},"
                f" this one is {topic_uuid}",
                hint="the topic was made anew: use another prefix, or remove the folder and the match topic too",
            )

    @property
    def applied(self) -> int | None:
        """The offset after the last fingerprint that is in the state; none for a new one."""
        stored = self._db.get(APPLIED)
        return None if stored is None else int.from_bytes(stored, "big")

    def images(self, image_ids: Sequence[str]) -> dict[str, Registered]:
        found = self._many([image_key(image_id) for image_id in image_ids])
        return {
            image_id: unpack_registered(image_id, packed)
            for image_id, packed in zip(image_ids, found, strict=True)
            if packed is not None
        }

    def canonicals(self, seqs: Sequence[int]) -> dict[int, Registered]:
        found = self._many([canonical_key(seq) for seq in seqs])
        ids = [packed.hex() for packed in found if packed is not None]
        return {known.seq: known for known in self.images(ids).values()}

    def rows(self, keys: Sequence[Row]) -> dict[Row, list[Entry]]:
        found = self._many([row_key(key) for key in keys])
        return {key: unpack_row(packed) for key, packed in zip(keys, found, strict=True) if packed is not None}

    def guarded(self) -> Iterator[Guarded]:
        """Every guarded picture, by seq."""
        entries: Iterator[Any] = self._db.items(from_key=GUARDED_PREFIX)
        return (unpack_guarded(key, packed) for key, packed in takewhile(_is_guarded, entries))

    def _many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        asked: list[Any] = list(keys)
        return list(self._db.get(asked) or ()) if asked else []

    def write(self, change: Change, applied: int | None) -> None:
        """Take up a change and the offset behind it, or nothing of both."""
        batch = WriteBatch(raw_mode=True)
        for known in change.registered:
            batch.put(image_key(known.image_id), pack_registered(known))
            if known.is_canonical:
                batch.put(canonical_key(known.seq), bytes.fromhex(known.image_id))
        for key, entries in change.rows.items():
            batch.put(row_key(key), pack_row(entries))
        for guarded in change.guarded:
            batch.put(guarded_key(guarded), pack_guarded(guarded))
        if applied is not None:
            batch.put(APPLIED, applied.to_bytes(8, "big"))
        try:
            self._db.write(batch)
        except Exception as exc:
            raise UserError(
                f"index state in {self._folder} cannot be written: {exc}", hint="is the disk full? nothing is lost"
            ) from exc

    def copy_to(self, folder: Path) -> None:
        """The state as it is now, as a folder of its own; made of links where it is on the same disk."""
        try:
            Checkpoint(self._db).create_checkpoint(str(folder))
        except Exception as exc:
            raise UserError(f"index state in {self._folder} cannot be copied: {exc}", hint="is the disk full?") from exc

    def close(self) -> None:
        self._db.close()


def _is_guarded(entry: tuple[bytes, bytes]) -> bool:
    return entry[0].startswith(GUARDED_PREFIX)


def _options(cache_bytes: int) -> Options:
    """Small keys, random reads: a bounded cache, and no memory beyond it."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(16 << 20)
    options.set_max_write_buffer_number(3)
    options.set_keep_log_file_num(2)
    options.set_compression_type(DBCompressionType.zstd())
    table = BlockBasedOptions()
    table.set_block_cache(Cache(cache_bytes))
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options
