"""The child of `entityflow.sandbox`: reads pictures from stdin, answers on stdout, ends with its parent."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from dataclasses import asdict
from typing import Any, BinaryIO

from entityflow.pictures import BadPicture, PictureLimits, decode_and_store
from entityflow.sandbox_pipe import FRAME

MEMORY_BYTES = 1 << 30
MAX_OPEN_FILES = 32


def main() -> None:
    limits, seconds = PictureLimits(**json.loads(sys.argv[1])), float(sys.argv[2])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints stays out of the answers
    _warm_up(limits)
    _confine()
    _answer(replies, b"ready")
    while size := sys.stdin.buffer.read(FRAME.size):
        (length,) = FRAME.unpack(size)
        data = sys.stdin.buffer.read(length)
        if len(data) < length:
            return
        _allow_processor_seconds(seconds)
        began = time.process_time()
        head, payload = _decoded(data, limits)
        head["cpu_seconds"] = time.process_time() - began
        _answer(replies, json.dumps(head).encode())
        _answer(replies, payload)


def _warm_up(limits: PictureLimits) -> None:
    """Loads the plugins while files may still be opened."""
    from PIL import Image

    warnings.simplefilter("ignore")
    Image.init()
    _decoded(b"", limits)


def _confine() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))


def _allow_processor_seconds(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _decoded(data: bytes, limits: PictureLimits) -> tuple[dict[str, Any], bytes]:
    try:
        picture = decode_and_store(data, limits)
    except BadPicture as exc:
        return {"reason": exc.reason, "detail": exc.detail}, b""
    except MemoryError:
        return {"reason": "too-many-pixels", "detail": "the decoder ran out of memory"}, b""
    except Exception as exc:  # noqa: BLE001 - the border of the process: one strange picture must not end it
        return {"reason": "decoder-crashed", "detail": f"{type(exc).__name__}: {exc}"[:200]}, b""
    head = {"format": picture.format, "width": picture.width, "height": picture.height}
    return {**head, "original": asdict(picture.original)}, picture.payload


def _answer(replies: BinaryIO, frame: bytes) -> None:
    replies.write(FRAME.pack(len(frame)) + frame)
    replies.flush()


if __name__ == "__main__":
    main()
