"""Made pictures and their copies: what meets in the index, and what must not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from entityflow.detail import alike
from services.filter.borders import content_box
from services.filter.fingerprints import Unhashable, appearance

MAX_DISTANCE = 3


def photo(seed, width=384, height=288):
    """Smooth hills, discs and a slope, unlike for each seed."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    pixels = np.zeros((height, width, 3)) + 120
    for channel in range(3):
        for _ in range(4):
            pixels[..., channel] += rng.uniform(10, 35) * np.sin(
                x * rng.uniform(-0.05, 0.05) + y * rng.uniform(-0.05, 0.05) + rng.uniform(0, 6)
            )
    for _ in range(9):
        left, top, radius = rng.uniform(20, width - 20), rng.uniform(20, height - 20), rng.uniform(12, 50)
        pixels[(x - left) ** 2 + (y - top) ** 2 < radius**2] = rng.uniform(0, 255, 3)
    return Image.fromarray(pixels.clip(0, 255).astype("uint8"))


def drawing(seed, side=288):
    """Flat art: an outlined shape with parts on white, not touching the edge."""
    rng = np.random.RandomState(seed)
    picture = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(picture)
    body = tuple(int(level) for level in rng.uniform(30, 230, 3))
    draw.ellipse((60, 70, 220, 230), fill=body, outline="black", width=6)
    for _ in range(6):
        left, top = rng.uniform(50, 190, 2)
        wide, high = rng.uniform(15, 60, 2)
        colour = tuple(int(level) for level in rng.uniform(0, 255, 3))
        draw.rectangle((left, top, left + wide, top + high), fill=colour, outline="black", width=4)
    return picture


def stored(picture, quality=90):
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


def hashes(picture, quality=90):
    return appearance(stored(picture, quality)).hashes


def distance(one, other):
    return min(
        (int(one.phash, 16) ^ int(other.phash, 16)).bit_count(),
        (int(one.dhash, 16) ^ int(other.dhash, 16)).bit_count(),
    )


def meet(one, other):
    return (
        not (one.low_detail or other.low_detail)
        and distance(one, other) <= MAX_DISTANCE
        and alike(one.detail, other.detail)
    )


def resized(picture, factor):
    return picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.LANCZOS)


def padded(picture, colour="white", pixels=30):
    side = max(picture.size) + pixels
    square = Image.new("RGB", (side, side), colour)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


COPIES = {
    "recompressed": lambda picture: Image.open(io.BytesIO(stored(picture, 30))),
    "smaller": lambda picture: resized(picture, 0.6),
    "thumbnail": lambda picture: Image.open(io.BytesIO(stored(resized(picture, 0.4), 75))),
    "grey": lambda picture: picture.convert("L"),
    "padded-white": padded,
    "padded-black": lambda picture: padded(picture, "black"),
    "framed": lambda picture: ImageOps.expand(ImageOps.expand(picture, 12, "white"), 8, "black"),
}


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("make", [photo, drawing])
def test_copies_meet_their_original(make, copy):
    pictures = [make(seed) for seed in range(12)]

    found = sum(meet(hashes(picture), hashes(COPIES[copy](picture))) for picture in pictures)

    assert found >= 11


@pytest.mark.parametrize("make", [photo, drawing])
def test_unlike_pictures_stay_apart(make):
    made = [hashes(make(seed)) for seed in range(60)]

    pairs = [(a, b) for a in range(60) for b in range(a) if meet(made[a], made[b])]

    assert pairs == []


@pytest.mark.parametrize("seed", range(4))
def test_a_mirrored_picture_is_another_picture(seed):
    assert not meet(hashes(photo(seed)), hashes(ImageOps.mirror(photo(seed))))


def test_one_drawing_in_two_colours_is_two_pictures_but_its_grey_copy_is_one():
    red, green = (_heart(colour) for colour in ((214, 48, 49), (20, 120, 60)))

    assert distance(hashes(red), hashes(green)) <= MAX_DISTANCE
    assert not meet(hashes(red), hashes(green))
    assert meet(hashes(red), hashes(red.convert("L")))


def _heart(colour):
    picture = Image.new("RGB", (288, 288), "white")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((60, 60, 150, 150), fill=colour)
    draw.ellipse((138, 60, 228, 150), fill=colour)
    draw.polygon([(66, 125), (222, 125), (144, 230)], fill=colour)
    return picture


@pytest.mark.parametrize("colour", ["white", "black", "blue", "#808080"])
def test_a_picture_of_one_colour_is_blank_and_has_no_hash(colour):
    seen = appearance(stored(Image.new("RGB", (288, 200), colour)))

    assert seen.blank
    assert seen.hashes is None


def test_a_dot_is_blank():
    dot = Image.new("RGB", (288, 288), "white")
    ImageDraw.Draw(dot).ellipse((100, 100, 105, 105), fill="red")

    assert appearance(stored(dot)).blank


@pytest.mark.parametrize("step", [3, 4, 6])
def test_fine_rules_are_too_plain_to_be_compared(step):
    ruled = Image.new("RGB", (288, 288), "white")
    for y in range(0, 288, step):
        ImageDraw.Draw(ruled).line((0, y, 288, y), fill="black")

    assert hashes(ruled).low_detail
    assert hashes(ruled.rotate(90)).low_detail


def test_pictures_and_drawings_are_not_plain():
    assert not any(hashes(make(seed)).low_detail for make in (photo, drawing) for seed in range(20))


@pytest.mark.parametrize("data", [b"", b"no picture", stored(photo(1))[:900], b"\xff\xd8\xff\xe0" + bytes(50)])
def test_what_does_not_decode_is_an_error_and_never_a_hash(data):
    with pytest.raises(Unhashable):
        appearance(data)


def test_content_is_not_cut():
    quarters = Image.new("RGB", (320, 240))
    for place, colour in {(0, 0): "red", (160, 0): "green", (0, 120): "blue", (160, 120): "white"}.items():
        quarters.paste(colour, (*place, place[0] + 160, place[1] + 120))
    ramp = Image.linear_gradient("L").convert("RGB")

    whole, box = content_box(quarters), content_box(ramp)

    assert (whole.left, whole.top, whole.right, whole.bottom) == (0, 0, 320, 240)
    assert box.width == 256
    assert box.height >= 0.9 * 256


def test_plain_stripes_are_hashed_whole():
    flag = Image.new("RGB", (300, 200), "white")
    flag.paste("blue", (0, 0, 100, 200))
    flag.paste("red", (200, 0, 300, 200))

    box = content_box(flag)

    assert (box.width, box.height) == (300, 200)
    assert not appearance(stored(flag)).blank
