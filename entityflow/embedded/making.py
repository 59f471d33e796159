"""How a folder of the cache is made: aside, then all at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from entityflow.embedded.cache import appear
from entityflow.errors import UserError


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """An empty folder to fill; at the end it becomes `folder`, after an error nothing is left of it.

    Raises UserError for what the disk says, a full one above all.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            yield scratch
            appear(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as exc:
        raise UserError(
            f"cannot make {folder}: {exc.strerror or exc}", hint="free some disk, or set ENTITYFLOW_CACHE_DIR"
        ) from exc
