"""Pictures from the web: told by their first bytes, decoded as a browser would show them, stored as plain JPEG.

A pure function of the bytes and the limits. Decoders of hostile bytes crash and hang: call `decode_and_store` through
`entityflow.sandbox`, not in a service's own process.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageCms, UnidentifiedImageError

from entityflow import picture_repairs
from entityflow.records import Original

STORED_FORMAT = "JPEG"
WHITE = (255, 255, 255, 255)
MISSING_DATA_GREY = 128  # what libjpeg paints where the data ended
ORIENTATION_TAG = 0x0112

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (picture_repairs.PNG_SIGNATURE, "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
_OTHER_PICTURES = (b"BM", b"II*\0", b"MM\0*", b"\0\0\1\0", b"8BPS", b"<svg", b"\0\0\0\x0cJXL ", b"\xff\x0a", b"%PDF")

# what Pillow raises on broken files of the formats above
DECODER_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    struct.error,
)
PROFILE_FAULTS = (ImageCms.PyCMSError, OSError, ValueError, TypeError)

Image.MAX_IMAGE_PIXELS = None  # our own cap is lower and looked at before any decoding


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """`short_side_pixels` and `jpeg_quality` say how pictures are stored, the rest what is not taken."""

    short_side_pixels: int = 288
    jpeg_quality: int = 90
    max_pixels: int = 50_000_000
    min_side_pixels: int = 16
    max_aspect: float = 3.0


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """`width` and `height` are those of the payload; `original` is as shown, after orientation."""

    payload: bytes
    format: str
    width: int
    height: int
    original: Original


class BadPicture(Exception):
    """Bytes that do not become a stored picture. `reason` is a stable word."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def told_format(head: bytes) -> str:
    """The format by the first bytes; raises BadPicture for what is no format that is decoded here."""
    if not head:
        raise BadPicture("empty", "no bytes")
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        if head[8:12] in (b"avif", b"avis") or b"avif" in head[16:40]:
            return "AVIF"
        raise BadPicture("unsupported-format", f"container of {head[8:12]!r}")
    if head.lstrip().startswith(_OTHER_PICTURES):
        raise BadPicture("unsupported-format", f"begins with {head[:8]!r}")
    raise BadPicture("not-an-image", f"begins with {head[:16]!r}")


def decode_and_store(data: bytes, limits: PictureLimits) -> StoredPicture:
    """The picture as it will be stored; raises BadPicture."""
    kind = told_format(data[:64])
    downloaded_bytes = len(data)
    data = _plain(data, kind)
    try:
        image = _opened(data, kind, limits)
        shown_size = _shown_size(image)
        _draft(image, limits)
        pixels = _whole(image, data, kind, limits)
        pixels = _stored_form(_first_frame(pixels), limits)
    except MemoryError as exc:
        raise BadPicture("too-many-pixels", "the decoder ran out of memory") from exc
    except DECODER_FAULTS as exc:
        raise BadPicture(_fault(exc), f"{kind}: {exc}"[:200]) from exc
    payload = io.BytesIO()
    pixels.save(payload, STORED_FORMAT, quality=limits.jpeg_quality, subsampling="4:2:0")
    original = Original(width=shown_size[0], height=shown_size[1], bytes=downloaded_bytes, format=kind)
    return StoredPicture(payload.getvalue(), STORED_FORMAT, pixels.width, pixels.height, original)


def _plain(data: bytes, kind: str) -> bytes:
    if kind == "PNG":
        return picture_repairs.plain_png(data)
    if kind == "WEBP" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise BadPicture("truncated", f"WEBP: {len(data)} bytes of {int.from_bytes(data[4:8], 'little') + 8}")
    return data


def _fault(error: Exception) -> str:
    text = str(error).lower()
    return "truncated" if "truncated" in text or isinstance(error, EOFError) else "broken-picture"


# --- from bytes to pixels ---


def _opened(data: bytes, kind: str, limits: PictureLimits) -> Image.Image:
    """The header only: sizes are judged before memory is taken for them."""
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
    except UnidentifiedImageError as exc:
        raise BadPicture("broken-picture", "no decoder can read its header") from exc
    width, height = image.size
    if width * height > limits.max_pixels:
        raise BadPicture("too-many-pixels", f"{width} x {height}, at most {limits.max_pixels} pixels")
    if min(width, height) < limits.min_side_pixels:
        raise BadPicture("too-small", f"{width} x {height}, sides of {limits.min_side_pixels} at least")
    if max(width, height) > limits.max_aspect * min(width, height):
        raise BadPicture("extreme-aspect", f"{width} x {height}, at most {limits.max_aspect:g} to 1")
    return image


def _draft(image: Image.Image, limits: PictureLimits) -> None:
    """Lets libjpeg decode at 1/2, 1/4 or 1/8 where that is still no smaller than what is stored."""
    image.draft(image.mode, _fitted(image.size, limits.short_side_pixels))


def _whole(image: Image.Image, data: bytes, kind: str, limits: PictureLimits) -> Image.Image:
    """Loaded, and not short of picture data. A missing end marker alone is no fault."""
    jpeg = kind == "JPEG"
    try:
        image.load()
    except OSError as exc:
        if not jpeg or _fault(exc) != "truncated":
            raise
        image = _loaded_again(picture_repairs.with_jpeg_end(data), limits)
    else:
        if not (jpeg and _ends_in_grey(image)):
            return image
    noisy = _loaded_again(picture_repairs.with_noise_before_end(data), limits)
    if noisy.tobytes() != image.tobytes():
        raise BadPicture("truncated", "picture data is missing")
    return image


def _loaded_again(data: bytes, limits: PictureLimits) -> Image.Image:
    image = _opened(data, "JPEG", limits)
    _draft(image, limits)
    image.load()
    return image


def _ends_in_grey(image: Image.Image) -> bool:
    corner = image.crop((image.width - 2, image.height - 2, image.width, image.height))
    return all(low == high == MISSING_DATA_GREY for low, high in _extrema(corner))


def _extrema(image: Image.Image) -> list[tuple[int, int]]:
    return [band.getextrema() for band in image.split()]  # type: ignore[misc]


def _first_frame(image: Image.Image) -> Image.Image:
    """The first frame that is shown, at the size of the canvas."""
    if getattr(image, "default_image", False):
        image.seek(1)
        image.load()
    if image.format != "GIF":
        return image
    left, top, right, bottom = getattr(image, "dispose_extent", None) or (0, 0, *image.size)
    if (left, top, right, bottom) == (0, 0, *image.size):
        return image
    canvas = Image.new("RGBA", image.size, (255, 255, 255, 0))
    canvas.paste(image.crop((left, top, right, bottom)).convert("RGBA"), (left, top))
    return canvas


# --- from pixels to what is stored ---


def _stored_form(image: Image.Image, limits: PictureLimits) -> Image.Image:
    orientation, profile = _orientation(image), image.info.get("icc_profile")
    image = _eight_bits(image)
    # by area: what is left after `_draft` shrinks by less than 2, where LANCZOS costs more time than the decoding
    image = image.resize(_fitted(image.size, limits.short_side_pixels), Image.Resampling.BOX)
    image = _in_srgb(_on_white(image), profile)
    return _turned(image, orientation)


def _fitted(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Size with its short side brought down to `short_side`; never up."""
    width, height = size
    if min(width, height) <= short_side:
        return size
    scale = short_side / min(width, height)
    return max(short_side, round(width * scale)), max(short_side, round(height * scale))


def _eight_bits(image: Image.Image) -> Image.Image:
    """A mode that resizes rightly: 16 bits scaled (not clipped), palettes resolved, transparency as a channel."""
    if image.mode.startswith("I"):
        return _from_sixteen_bits(image)
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    wide = image.convert("I")
    grey = wide.point([value >> 8 for value in range(65536)], "L")
    hidden = image.info.get("transparency")
    if not isinstance(hidden, int):
        return grey
    alpha = wide.point([0 if value == hidden else 255 for value in range(65536)], "L")
    return Image.merge("LA", (grey, alpha)).convert("RGBA")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image).convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """By its colour profile where that can be used; a broken one is ignored."""
    if profile and len(profile) <= picture_repairs.MAX_PROFILE_BYTES:
        transform = _transform(profile, image.mode)
        if transform is not None:
            return ImageCms.applyTransform(image, transform) or image
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except PROFILE_FAULTS:
        return None


def _orientation(image: Image.Image) -> int:
    """1 to 8 from the EXIF block; 1 where there is none or it is broken."""
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        value = exif.get(ORIENTATION_TAG, 1)
    except DECODER_FAULTS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _shown_size(image: Image.Image) -> tuple[int, int]:
    return image.size if _orientation(image) < 5 else (image.height, image.width)
