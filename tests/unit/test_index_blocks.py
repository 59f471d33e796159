from hypothesis import given
from hypothesis import strategies as st

from entityflow.records import Hashes
from services.index.blocks import WIDTHS, block_keys, row_keys

HASH = st.integers(0, 2**64 - 1)
UP_TO_THREE_BITS = st.sets(st.integers(0, 63), max_size=3)


def flipped(value, bits):
    for bit in bits:
        value ^= 1 << bit
    return value


def test_the_blocks_cover_the_hash():
    assert sum(WIDTHS) == 64


@given(HASH, UP_TO_THREE_BITS)
def test_any_two_hashes_within_distance_three_share_a_row(value, bits):
    near = flipped(value, bits)

    shared = set(block_keys("p", 1, value)) & set(block_keys("p", 1, near))

    assert shared


def test_a_picture_lies_in_twenty_rows_and_a_plain_one_in_none():
    hashes = Hashes(phash="c3d1e0f0a5b49687", dhash="1f3e7c78f0e1c387", version=1)
    plain = Hashes(phash="c3d1e0f0a5b49687", dhash="1f3e7c78f0e1c387", version=1, low_detail=True)

    assert len({key for keys in row_keys(hashes).values() for key in keys}) == 20
    assert row_keys(plain) == {}


@given(HASH)
def test_hashes_of_another_family_or_version_never_meet(value):
    assert not set(block_keys("p", 1, value)) & set(block_keys("d", 1, value))
    assert not set(block_keys("p", 1, value)) & set(block_keys("p", 2, value))
