import dataclasses
import typing
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entityflow.codec import decode, encode, from_plain, to_json, to_plain
from entityflow.errors import CodecError
from entityflow.records import Match, Record, Seal

LONG = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = {str: TEXT, int: LONG, bytes: st.binary(max_size=50), float: st.floats(allow_nan=False), bool: st.booleans()}


def values(hint: Any) -> st.SearchStrategy[Any]:
    args = get_args(hint)
    if get_origin(hint) in (UnionType, typing.Union):
        return st.none() | values(args[0])
    if get_origin(hint) is tuple:
        return st.lists(values(args[0]), max_size=2).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(TEXT, values(args[1]), max_size=2)
    return records(hint) if dataclasses.is_dataclass(hint) else PLAIN[hint]


def records(cls: type) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{name: values(hint) for name, hint in get_type_hints(cls).items()})


ANY_RECORD = st.one_of([records(cls) for cls in get_args(Record)])


@given(ANY_RECORD)
def test_any_record_is_read_back_as_it_was_written(record):
    assert decode(encode(record)) == record


@given(ANY_RECORD)
def test_a_record_survives_as_plain_values_too(record):
    assert from_plain(type(record), to_plain(record)) == record


@given(st.binary(max_size=200))
def test_foreign_bytes_raise_one_typed_error(data):
    with pytest.raises(CodecError):
        decode(data)


@given(ANY_RECORD, st.data())
def test_damaged_bytes_are_a_record_or_the_typed_error(record, data):
    good = bytearray(encode(record))
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(good)))

    for damaged in (bytes(good), bytes(good[:cut])):
        try:
            decode(damaged)
        except CodecError as error:
            assert error.reason == "undecodable"


def test_bytes_after_the_end_are_refused():
    with pytest.raises(CodecError, match="after the end"):
        decode(encode(Seal(partition=1, start=2, cause="age")) + b"x")


def test_a_schema_that_nobody_knows_is_named_by_its_fingerprint():
    with pytest.raises(CodecError, match="0102030405060708"):
        decode(b"\xc3\x01" + bytes(range(1, 9)) + b"body")


def test_bytes_are_shown_to_people_as_their_length():
    shown = to_json(Match(image_id="a", seq=1))

    assert shown["image_id"] == "a"
    assert to_json(from_plain_image())["payload"] == "<3 bytes>"


def from_plain_image() -> Any:
    from entityflow.records import Image, Origin, Permission, Url

    url = Url(candidate_id="c", url_id="u", address="https://x.example/", provider="p")
    origin = Origin(topic_uuid="t", partition=0, offset=0)
    return Image(
        image_id="i", payload=b"abc", permission=Permission(decision="allowed"), candidate=url, url_origin=origin
    )
