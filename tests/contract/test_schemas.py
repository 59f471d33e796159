"""The contract as data: each record has one Avro schema a version and an example, and they say the same as the code."""

import json
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

import schemas
from entityflow.codec import decode, encode, from_plain, to_plain
from entityflow.records import Record
from entityflow.schemas import SchemaFile, current_schemas, schema_files
from entityflow.topics import load_topics

ROOT = Path(schemas.__file__).parent
RECORDS = {cls.__name__: cls for cls in get_args(Record)}


def name_of(file: SchemaFile) -> str:
    return f"{file.record}.v{file.version}"


def test_every_record_has_a_schema_and_every_schema_a_record():
    assert set(current_schemas()) == set(RECORDS)


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_schema_names_the_fields_of_its_record_in_order(name):
    written = [field["name"] for field in current_schemas()[name].parsed["fields"]]

    assert written == [field.name for field in fields(RECORDS[name])]


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_every_optional_field_is_nullable_with_null_as_default(name):
    for field in current_schemas()[name].parsed["fields"]:
        nullable = isinstance(field["type"], list)
        assert not nullable or (field["type"][0] == "null" and field["default"] is None), field["name"]


@pytest.mark.parametrize(
    "file", sorted(schema_files().values(), key=lambda file: (file.record, file.version)), ids=name_of
)
def test_every_schema_has_an_example_that_survives_the_round_trip(file):
    example = json.loads((ROOT / "examples" / f"{name_of(file)}.json").read_text())

    record = from_plain(RECORDS[file.record], example)

    assert decode(encode(record)) == record
    assert set(to_plain(record)) == set(example)


def test_every_record_lies_in_a_topic_and_every_topic_holds_records_that_exist():
    placed = {name for topic in load_topics().values() for name in topic.records}

    assert placed == set(RECORDS)
