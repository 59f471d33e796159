from hypothesis import given
from hypothesis import strategies as st

from entityflow.detail import LENGTH, alike, written

LEVELS = st.lists(st.integers(0, 255), min_size=64, max_size=64)
COLOURS = st.lists(st.integers(0, 255), min_size=32, max_size=32)


@given(st.integers(1, 4000), st.integers(1, 4000), LEVELS, COLOURS)
def test_a_detail_has_one_length_and_is_like_itself(width, height, luma, chroma):
    text = written(width, height, luma, chroma)

    assert len(text) == LENGTH
    assert int(text, 16) >= 0
    assert alike(text, text)


@given(LEVELS, COLOURS, LEVELS, COLOURS)
def test_likeness_has_no_direction(luma, chroma, other_luma, other_chroma):
    one, other = written(4, 3, luma, chroma), written(4, 3, other_luma, other_chroma)

    assert alike(one, other) == alike(other, one)


def test_shape_brightness_and_colour_each_tell_pictures_apart():
    plain = written(4, 3, [100] * 64, [200] * 32)

    assert not alike(plain, written(3, 4, [100] * 64, [200] * 32))
    assert not alike(plain, written(4, 3, [140] * 64, [200] * 32))
    assert not alike(plain, written(4, 3, [100] * 64, [60] * 32))


def test_colours_count_only_where_both_have_some_and_details_only_where_both_exist():
    coloured, grey = written(4, 3, [100] * 64, [200] * 32), written(4, 3, [100] * 64, [128] * 32)

    assert alike(coloured, grey)
    assert alike(coloured, None)
    assert alike("unknown form", coloured)
