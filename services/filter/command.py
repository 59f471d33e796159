"""`entityflow inspect image` and `inspect text`: what the rules say of local files and texts, without any server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from entityflow.cli.output import print_json, print_table
from entityflow.errors import UserError
from entityflow.ids import image_id
from entityflow.pictures import BadPicture, PictureLimits, StoredPicture
from entityflow.sandbox import Sandbox
from entityflow.settings import load_settings
from services.filter.fingerprints import Unhashable, appearance
from services.filter.judging import BROKEN_PICTURE, Rules
from services.filter.settings import FilterSettings, rules_of

OK, REJECTED = "ok", "rejected"
MAX_FILE_BYTES = 64 << 20
NO_SUCH_FILE, UNREADABLE_FILE, TOO_LARGE = "no-such-file", "unreadable-file", "too-large"

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def inspect_image(
    paths: Annotated[list[Path], typer.Argument(help="Picture files.", metavar="PATH...")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for what would be stored: SHA256.jpg, named as its sample.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Scores, hashes and reason of picture files: what would be stored of them, and whether it would be kept.

    Example: entityflow inspect image photo.jpg --out ./stored
    """
    section, _ = load_settings(FilterSettings).domain_section()
    limits = PictureLimits(min_side_pixels=section.min_side_pixels, max_aspect=section.max_aspect)
    with Sandbox(limits) as sandbox:
        results = [_image(path, sandbox, rules_of(section), out) for path in paths]
    if as_json:
        print_json({"results": results})
    else:
        columns = ("path", "outcome", "reason", "width", "height", "phash", "dhash")
        print_table(columns, [[_cell(result, column) for column in columns] for result in results])


def inspect_text(
    texts: Annotated[list[str], typer.Argument(help="Texts, each one argument.", metavar="TEXT...")],
    as_json: AsJson = False,
) -> None:
    """The cleaned form of texts, their scores, and why one would be dropped.

    Example: entityflow inspect text 'IMG_0042.JPG' 'a lion in the grass'
    """
    rules = rules_of(load_settings(FilterSettings).domain_section()[0])
    results = list(_texts(texts, rules))
    if as_json:
        print_json({"results": results})
    else:
        columns = ("outcome", "reason", "clean")
        print_table(columns, [[_cell(result, column) for column in columns] for result in results])


def _texts(texts: list[str], rules: Rules) -> Iterator[Mapping[str, Any]]:
    for text in texts:
        verdict = rules.text(text)
        yield {
            "text": _printable(text),
            "clean": verdict.clean,
            "outcome": REJECTED if verdict.reason else OK,
            "reason": verdict.reason,
            "lang": verdict.lang,
            "scores": verdict.scores,
        }


def _image(path: Path, sandbox: Sandbox, rules: Rules, out: Path | None) -> dict[str, Any]:
    """One result; whatever is wrong with the file is its reason."""
    result: dict[str, Any] = {
        "path": _printable(str(path)),
        "outcome": REJECTED,
        "reason": None,
        "detail": None,
        "format": None,
        "width": None,
        "height": None,
        "original_width": None,
        "original_height": None,
        "sha256": None,
        "phash": None,
        "dhash": None,
        "scores": {},
    }
    data = _read(path)
    if isinstance(data, str):
        return result | {"reason": data}
    result["sha256"] = image_id(data)
    try:
        stored = sandbox.decode(data)
    except BadPicture as bad:
        return result | {"reason": bad.reason, "detail": bad.detail or None}
    result |= _stored(stored) | _judged(stored, rules)
    if out is not None and result["outcome"] == OK:
        _write(out, result["sha256"], stored.payload)
    return result


def _read(path: Path) -> bytes | str:
    """The file's bytes, or why not."""
    try:
        if not path.is_file():
            return NO_SUCH_FILE
        return path.read_bytes() if path.stat().st_size <= MAX_FILE_BYTES else TOO_LARGE
    except (OSError, ValueError):
        return UNREADABLE_FILE


def _stored(stored: StoredPicture) -> dict[str, Any]:
    """`format` is that of the file; what is stored is always JPEG."""
    return {
        "format": stored.original.format,
        "width": stored.width,
        "height": stored.height,
        "original_width": stored.original.width,
        "original_height": stored.original.height,
    }


def _judged(stored: StoredPicture, rules: Rules) -> dict[str, Any]:
    try:
        seen = appearance(stored.payload)
    except Unhashable as exc:
        return {"reason": BROKEN_PICTURE, "detail": str(exc)}
    reason, scores = rules.picture(stored.original, seen)
    judged: dict[str, Any] = {"outcome": REJECTED if reason else OK, "reason": reason, "scores": scores}
    if seen.hashes is None:
        return judged
    judged |= {"low_detail": seen.hashes.low_detail, "hash_version": seen.hashes.version}
    if seen.hashes.low_detail:  # its hashes are never compared: showing them would invite to
        return judged
    return judged | {"phash": seen.hashes.phash, "dhash": seen.hashes.dhash, "detail_hash": seen.hashes.detail}


def _write(folder: Path, name: str, payload: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jpg").write_bytes(payload)
    except OSError as exc:
        raise UserError(f"cannot write into {folder}: {exc.strerror}", hint="name another folder with --out") from exc


def _printable(text: str) -> str:
    """Halves of surrogate pairs (bytes of an argument that are no UTF-8) cannot be printed."""
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)


def _cell(result: Mapping[str, Any], column: str) -> str:
    value = result.get(column)
    return "-" if value is None else str(value)
