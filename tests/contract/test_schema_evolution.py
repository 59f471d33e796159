"""Versions of a record side by side: old data and new, read by old code and new."""

import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.read import SchemaResolutionError

import entityflow
import schemas
from entityflow.codec import CodecError, decode, encode, from_plain
from entityflow.records import Tombstone
from entityflow.schemas import SchemaFile, schema_files

ROOT = Path(schemas.__file__).parent
FILES = sorted(schema_files().values(), key=lambda file: (file.record, file.version))
PAIRS = [
    (writer, reader) for writer, reader in itertools.permutations(FILES, 2) if writer.record == reader.record
]  # fmt: skip


def name_of(file: SchemaFile) -> str:
    return f"{file.record}.v{file.version}"


def example(file: SchemaFile) -> Any:
    return json.loads((ROOT / "examples" / f"{name_of(file)}.json").read_text())


def read_by(writer: Any, reader: Any, plain: Any) -> Any:
    """What a reader's schema makes of what a writer's schema wrote."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, writer, plain)
    body.seek(0)
    found = fastavro.schemaless_reader(body, writer, reader)
    assert body.read() == b""
    return found


@pytest.mark.parametrize(("writer", "reader"), PAIRS, ids=lambda file: name_of(file))
def test_every_version_of_a_record_reads_every_other(writer, reader):
    plain = example(writer)

    found = read_by(writer.parsed, reader.parsed, plain)

    common = {field["name"] for field in writer.parsed["fields"]} & {f["name"] for f in reader.parsed["fields"]}
    assert {name: found[name] for name in common} == {name: plain[name] for name in common}
    assert isinstance(from_plain(reader.type, found), reader.type)


ADDED = {"name": "note", "type": ["null", "string"], "default": None}
STONE = Tombstone(id="ab", kind="url", value="cd", at=1.5)


def test_a_field_that_old_data_cannot_have_needs_a_default():
    (v1,) = (file for file in FILES if file.record == "Tombstone")
    schema = json.loads((ROOT / "avro" / "Tombstone.v1.avsc").read_text())
    demanding = fastavro.parse_schema({**schema, "fields": [*schema["fields"], {"name": "note", "type": "string"}]})

    with pytest.raises(SchemaResolutionError, match="note"):
        read_by(v1.parsed, demanding, example(v1))


@pytest.fixture
def next_release(tmp_path: Path) -> Path:
    """A copy of the code in which tombstones have a second version with one more optional field."""
    for package in (Path(entityflow.__file__).parent, ROOT):
        shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    avro = tmp_path / "schemas" / "avro"
    first = json.loads((avro / "Tombstone.v1.avsc").read_text())
    (avro / "Tombstone.v2.avsc").write_text(json.dumps({**first, "fields": [*first["fields"], ADDED]}))
    records = tmp_path / "entityflow" / "records.py"
    text = records.read_text()
    field = "    value: str\n    at: float\n"
    assert text.count(field) == 1
    records.write_text(text.replace(field, f"{field}    note: str | None = None\n"))
    return tmp_path


def told_by(release: Path, code: str, *arguments: str) -> str:
    """What a program prints that runs the code of a release."""
    imports = "import sys\nfrom entityflow.codec import *\nfrom entityflow.records import *\n"
    ran = subprocess.run(
        [sys.executable, "-c", imports + code, *arguments],
        cwd=release,
        env={**os.environ, "PYTHONPATH": str(release)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


READ = "print(decode(bytes.fromhex(sys.argv[1])))"
WRITE = "print(encode(Tombstone(id='ab', kind='url', value='cd', at=1.5, note='why')).hex())"


def test_new_code_reads_old_data_and_fills_in_the_default(next_release):
    assert told_by(next_release, READ, encode(STONE).hex()) == f"{STONE!r}"[:-1] + ", note=None)"


def test_old_code_sends_data_of_a_schema_that_it_does_not_have_to_the_dead_letters(next_release):
    written = bytes.fromhex(told_by(next_release, WRITE))

    with pytest.raises(CodecError, match=f"schema fingerprint {written[2:10].hex()} is not known"):
        decode(written)


def test_old_code_with_the_new_schema_file_reads_and_writes_both(next_release):
    written = told_by(next_release, WRITE)
    shutil.copy(Path(entityflow.__file__).parent / "records.py", next_release / "entityflow" / "records.py")

    read = told_by(next_release, READ, written)
    again = told_by(next_release, "print(encode(decode(bytes.fromhex(sys.argv[1]))).hex())", written)

    assert read == repr(STONE)
    assert told_by(next_release, READ, again) == repr(STONE)
