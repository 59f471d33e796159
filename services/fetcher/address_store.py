"""Where known addresses lie: a RocksDB of this process, in a folder that no other process uses.

It is a copy of the `address` topic, made anew at every start: a lost, torn or left folder costs nothing.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteOptions

from entityflow.errors import UserError

CACHE_BYTES = 32 << 20
WRITE_BUFFER_BYTES = 8 << 20


@contextmanager
def address_store(state_dir: Path) -> Iterator[Rdict]:
    """An empty store; its folder is gone afterwards. UserError: the disk is full, the folder read-only."""
    try:
        folder, lock = _free_folder(state_dir)
        shutil.rmtree(folder, ignore_errors=True)
        store = Rdict(str(folder), _options())
    except Exception as exc:
        raise UserError(
            f"address memory in {state_dir}: {exc}", hint="is the disk full or ENTITYFLOW_STATE_DIR read-only?"
        ) from exc
    written = WriteOptions()
    written.disable_wal = True  # type: ignore[method-assign, assignment]  # the stub takes it for a method
    store.set_write_options(written)
    try:
        yield store
    finally:
        store.close()
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _free_folder(state_dir: Path) -> tuple[Path, IO[str]]:
    """The first that no living process holds; a killed one leaves its folder to the next."""
    state_dir.mkdir(parents=True, exist_ok=True)
    for number in count():
        folder = state_dir / f"fetcher-addresses-{number}"
        lock = folder.with_suffix(".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return folder, lock
    raise AssertionError("count() has no end")


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_keep_log_file_num(1)
    table = BlockBasedOptions()
    table.set_block_cache(Cache(CACHE_BYTES))
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options
