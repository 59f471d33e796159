"""Physical lines of a text file, with their numbers: compressed or not, any BOM, any line end, of bounded length."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from entityflow.errors import UserError
from entityflow.importing.rows import MAX_ROW_BYTES

BLOCK = 1 << 16
COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
# UTF-32 before UTF-16: the mark of the one begins with that of the other
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


@dataclass(frozen=True, slots=True)
class Line:
    """`text` with its line end. Bytes that are no text of the encoding are lone surrogates in it (PEP 383).

    cut: the line is longer than a row may be; `text` is its beginning.
    """

    number: int
    text: str
    cut: bool = False


def open_bytes(path: Path) -> IO[bytes]:
    try:
        return cast(IO[bytes], COMPRESSED.get(path.suffix.lower(), open)(path, "rb"))
    except OSError as exc:
        raise UserError(f"{path} cannot be read: {exc.strerror or exc}", hint="name a file on this machine") from exc


def inner_suffix(path: Path) -> str:
    """`.csv` of list.csv and of list.csv.gz."""
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return name.suffix.lower()


def first_bytes(path: Path, count: int = BLOCK) -> bytes:
    with open_bytes(path) as file:
        return _guarded(path, lambda: file.read(count))


def read_lines(path: Path) -> Iterator[Line]:
    """All lines. Raises UserError where the file, compressed or not, ends before its end."""
    head = first_bytes(path)
    mark, encoding = encoding_of(head)
    end = _line_end(head[len(mark) :].decode(encoding, "ignore"))
    with closing(_texts(path, len(mark), encoding)) as texts:
        yield from _split(texts, end)


def encoding_of(head: bytes) -> tuple[bytes, str]:
    """The mark that a text begins with, or nothing, and its encoding: UTF-8 unless every other byte is zero."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return mark, encoding
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if head[first::2].count(0) > len(head) / 4:
            return b"", encoding
    return b"", "utf-8"


def _line_end(head: str) -> str:
    """Old spreadsheets end lines with a carriage return alone."""
    return "\r" if "\r" in head and "\n" not in head else "\n"


def _texts(path: Path, skip: int, encoding: str) -> Generator[str, None, None]:
    errors = "surrogateescape" if encoding == "utf-8" else "replace"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    with open_bytes(path) as file:
        _guarded(path, lambda: file.read(skip))
        while block := _guarded(path, lambda: file.read(BLOCK)):
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


def _guarded(path: Path, read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except (OSError, EOFError, lzma.LZMAError, ValueError) as exc:
        raise UserError(f"{path} cannot be read: {exc}", hint="is it whole, and is its name right?") from exc


def _split(texts: Iterator[str], end: str) -> Iterator[Line]:
    number, held, cut = 1, "", False
    for text in texts:
        pieces = text.split(end)
        for piece in pieces[:-1]:
            yield Line(number, (held if cut else held + piece) + end, cut)
            number, held, cut = number + 1, "", False
        if not cut:
            held += pieces[-1]
            held, cut = held[:MAX_ROW_BYTES], len(held) > MAX_ROW_BYTES
    if held:
        yield Line(number, held, cut)
