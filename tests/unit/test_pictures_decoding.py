"""Pictures are stored as a browser would show them; what cannot be is refused with a reason."""

from __future__ import annotations

import io
import random
import struct
import zlib
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from entityflow.pictures import BadPicture, PictureLimits, decode_and_store

# Pillow warns of what it mends; the child process in which pictures are decoded has its warnings off
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

RED, GREEN, BLUE, PALE = (210, 40, 40), (40, 150, 70), (40, 70, 190), (245, 245, 245)
WHITE = (255, 255, 255)
LIMITS = PictureLimits()


def quarters(width: int = 200, height: int = 160) -> Image.Image:
    """Four colours, so that any turn, loss or mix-up shows."""
    image = Image.new("RGB", (width, height), PALE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def grain(width: int = 400, height: int = 300) -> Image.Image:
    return Image.frombytes("RGB", (width, height), random.Random(3).randbytes(width * height * 3))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def corners(data: bytes, limits: PictureLimits = LIMITS) -> list[tuple[int, int, int]]:
    """The colours of the four quarters as stored, row by row."""
    stored = Image.open(io.BytesIO(decode_and_store(data, limits).payload))
    assert (stored.format, stored.mode) == ("JPEG", "RGB")
    width, height = stored.size
    places = [(x, y) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [stored.getpixel(place) for place in places]  # type: ignore[misc]


def assert_alike(found: list[tuple[int, int, int]], wanted: list[tuple[int, int, int]], tolerance: int = 8) -> None:
    far = [
        (a, b)
        for a, b in zip(found, wanted, strict=True)
        if max(abs(x - y) for x, y in zip(a, b, strict=True)) > tolerance
    ]
    assert not far


def reason_for(data: bytes, limits: PictureLimits = LIMITS) -> str:
    with pytest.raises(BadPicture) as bad:
        decode_and_store(data, limits)
    return bad.value.reason


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_every_format_that_is_taken_keeps_its_colours(form: str) -> None:
    data = encoded(quarters(), form)

    assert_alike(corners(data), [RED, GREEN, BLUE, PALE])
    assert decode_and_store(data, LIMITS).original.format == form


def test_the_same_bytes_are_always_stored_as_the_same_bytes() -> None:
    data = encoded(grain(), "PNG")

    assert decode_and_store(data, LIMITS) == decode_and_store(data, LIMITS)


def test_large_pictures_shrink_to_the_short_side_and_small_ones_stay() -> None:
    large = decode_and_store(encoded(grain(1000, 700), "JPEG"), PictureLimits(short_side_pixels=100))
    small = decode_and_store(encoded(quarters(60, 50), "JPEG"), PictureLimits(short_side_pixels=100))

    assert (large.width, large.height) == (143, 100)
    assert (large.original.width, large.original.height) == (1000, 700)
    assert (small.width, small.height) == (60, 50)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "wanted"),
    [
        (1, [RED, GREEN, BLUE, PALE]),
        (2, [GREEN, RED, PALE, BLUE]),
        (3, [PALE, BLUE, GREEN, RED]),
        (4, [BLUE, PALE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, PALE]),
        (6, [BLUE, RED, PALE, GREEN]),
        (7, [PALE, GREEN, BLUE, RED]),
        (8, [GREEN, PALE, RED, BLUE]),
        (9, [RED, GREEN, BLUE, PALE]),
    ],
)
def test_orientation_is_applied_once_and_its_tag_is_gone(
    form: str, orientation: int, wanted: list[tuple[int, int, int]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(quarters(), form, exif=exif.tobytes())

    assert_alike(corners(data), wanted)
    stored = decode_and_store(data, LIMITS)
    assert (stored.original.width < stored.original.height) == (orientation in (5, 6, 7, 8))
    assert not Image.open(io.BytesIO(stored.payload)).getexif()


def test_broken_metadata_costs_nothing_but_itself() -> None:
    for exif in (b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0Exif\0\0MM\0*"):
        assert_alike(corners(encoded(quarters(), "JPEG", exif=exif)), [RED, GREEN, BLUE, PALE])
    assert_alike(corners(encoded(quarters(), "JPEG", icc_profile=b"no profile" * 50)), [RED, GREEN, BLUE, PALE])
    assert_alike(corners(encoded(quarters(), "PNG", icc_profile=bytes(5_000_000))), [RED, GREEN, BLUE, PALE])
    texts = PngInfo()
    texts.add_text("comment", "x" * 5_000_000, zip=True)
    assert_alike(corners(encoded(quarters(), "PNG", pnginfo=texts)), [RED, GREEN, BLUE, PALE])


def test_a_colour_profile_is_obeyed() -> None:
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, green = swapped.index(b"rXYZ"), swapped.index(b"gXYZ")
    swapped = swapped[:red] + b"gXYZ" + swapped[red + 4 : green] + b"rXYZ" + swapped[green + 4 :]

    data = encoded(Image.new("RGB", (64, 64), (200, 0, 0)), "PNG", icc_profile=swapped)

    assert_alike(corners(data), [(0, 200, 0)] * 4, tolerance=20)


def test_print_colours_are_shown_as_a_browser_does() -> None:
    assert_alike(corners(encoded(quarters().convert("CMYK"), "JPEG")), [RED, GREEN, BLUE, PALE])


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    ramp = array("H", [x * 256 for x in range(256)] * 100)
    data = encoded(Image.frombytes("I;16", (256, 100), ramp.tobytes()), "PNG")

    assert_alike(corners(data), [(64, 64, 64), (192, 192, 192)] * 2, tolerance=3)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "AVIF"])
def test_what_is_transparent_becomes_white(form: str) -> None:
    image = quarters().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 100, 80))

    assert_alike(corners(encoded(image, form)), [WHITE, GREEN, BLUE, PALE])


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_transparent_colour_becomes_white(mode: str) -> None:
    image = quarters().quantize(8, dither=Image.Dither.NONE) if mode == "P" else quarters().convert(mode)
    hidden = image.getpixel((5, 5))

    assert corners(encoded(image, "PNG", transparency=hidden))[0] == WHITE


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_kept(form: str) -> None:
    others = [Image.new("RGB", (200, 160)), Image.new("RGB", (200, 160), (90, 90, 90))]

    data = encoded(quarters(), form, save_all=True, append_images=others)

    assert_alike(corners(data), [RED, GREEN, BLUE, PALE])


def test_a_first_frame_smaller_than_its_canvas_lies_on_white() -> None:
    data = bytearray(encoded(Image.new("P", (100, 100), 0), "GIF"))
    data[6:10] = struct.pack("<HH", 200, 200)
    place = data.index(b",\0\0\0\0")
    data[place + 1 : place + 3] = struct.pack("<H", 100)

    assert_alike(corners(bytes(data)), [WHITE, (0, 0, 0), WHITE, WHITE])


def test_of_two_pictures_in_one_file_the_first_is_kept() -> None:
    data = encoded(quarters(), "MPO", save_all=True, append_images=[Image.new("RGB", (200, 160))])

    assert_alike(corners(data), [RED, GREEN, BLUE, PALE])
    assert decode_and_store(data, LIMITS).original.format == "JPEG"
    assert_alike(corners(encoded(quarters(), "JPEG") + b"trailing" * 100), [RED, GREEN, BLUE, PALE])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    "options",
    [{"form": "JPEG"}, {"form": "JPEG", "progressive": True}, {"form": "PNG"}, {"form": "WEBP"}, {"form": "GIF"}],
    ids=["jpeg", "progressive", "png", "webp", "gif"],
)
def test_a_picture_that_lacks_data_is_refused(options: dict[str, object], share: float) -> None:
    data = encoded(grain(), str(options["form"]), **{k: v for k, v in options.items() if k != "form"})

    assert reason_for(data[: int(len(data) * share)]) == "truncated"


def test_missing_data_is_seen_behind_an_end_marker() -> None:
    data = encoded(grain(), "JPEG")

    assert reason_for(data[: len(data) // 2] + b"\xff\xd9") == "truncated"


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_missing_end_marker_alone_is_no_fault(options: dict[str, object]) -> None:
    data = encoded(grain(), "JPEG", **options)

    assert decode_and_store(data[:-2], LIMITS).payload == decode_and_store(data, LIMITS).payload


def test_a_grey_picture_is_not_taken_for_a_cut_one() -> None:
    assert decode_and_store(encoded(Image.new("RGB", (64, 64), (128, 128, 128)), "JPEG"), LIMITS).width == 64


def test_sizes_are_judged_by_the_header() -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    huge = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))

    assert reason_for(huge + b"\0\0\0\x05IDATxxxxxCRC_") == "too-many-pixels"
    assert reason_for(encoded(Image.new("RGB", (1, 1)), "GIF")) == "too-small"
    assert reason_for(encoded(Image.new("RGB", (301, 100)), "PNG")) == "extreme-aspect"
    assert decode_and_store(encoded(Image.new("RGB", (300, 100)), "PNG"), LIMITS).width == 300


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html><body>not here", "not-an-image"),
        (b"GIF89a", "broken-picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "broken-picture"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "broken-picture"),
        (encoded(quarters(), "BMP"), "unsupported-format"),
        (encoded(quarters(), "TIFF"), "unsupported-format"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "unsupported-format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported-format"),
    ],
)
def test_what_is_no_picture_of_ours_gets_its_reason(data: bytes, reason: str) -> None:
    assert reason_for(data) == reason


SAMPLES = [encoded(quarters(), form) for form in ("JPEG", "PNG", "WEBP", "GIF")]


@given(st.sampled_from(SAMPLES), st.data())
def test_a_damaged_file_is_stored_or_refused(sample: bytes, data: st.DataObject) -> None:
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    try:
        stored = decode_and_store(bytes(damaged), LIMITS)
    except BadPicture:
        return
    assert stored.payload.startswith(b"\xff\xd8")
