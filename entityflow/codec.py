"""Records to bytes and back: Avro single-object encoding.

A message is the two marks C3 01, the 8-byte little-endian CRC-64-AVRO fingerprint of the writer's schema, and the body.
Any known version of a schema is read; any other bytes raise `CodecError`, and nothing else.
"""

from __future__ import annotations

import io
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

import fastavro
import fastavro.schema

from entityflow.errors import CodecError
from entityflow.records import Record
from entityflow.schemas import SchemaFile, current_schemas, schema_files

MARK = b"\xc3\x01"
HEAD_BYTES = 10

R = TypeVar("R")
Plain = dict[str, Any]


def encode(record: Record) -> bytes:
    """The single-object encoding of a record under the newest schema of its type."""
    file = current_schemas()[type(record).__name__]
    body = io.BytesIO()
    body.write(MARK + file.fingerprint)
    fastavro.schemaless_writer(body, file.parsed, to_plain(record))
    return body.getvalue()


def decode(data: bytes) -> Record:
    """The record that the bytes hold; raises CodecError for anything that is not exactly one of ours."""
    if len(data) < HEAD_BYTES or data[:2] != MARK:
        raise CodecError("no single-object mark")
    file = schema_files().get(data[2:HEAD_BYTES])
    if file is None:
        raise CodecError(f"schema fingerprint {data[2:HEAD_BYTES].hex()} is not known")
    reader = current_schemas()[file.record]
    body = io.BytesIO(data[HEAD_BYTES:])
    try:
        plain = fastavro.schemaless_reader(body, file.parsed, reader.parsed if reader is not file else None)
    except Exception as exc:
        raise CodecError(f"{file.record}: {type(exc).__name__}: {exc}") from exc
    if body.read(1):
        raise CodecError(f"{file.record}: bytes after the end")
    return cast(Record, from_plain(reader.type, cast(Plain, plain)))


def fingerprint_of(record_type: type) -> str:
    """Hex fingerprint of the newest schema of a record type."""
    return current_schemas()[record_type.__name__].fingerprint.hex()


def to_plain(value: Any) -> Any:
    """Dataclasses to dicts, tuples to lists, deeply; bytes stay bytes."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in field_names(type(value))}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(cls: type[R], plain: Mapping[str, Any]) -> R:
    """The inverse of `to_plain`; bytes may be text of characters 0-255, unknown names are left out."""
    return cls(**{name: build(plain[name]) for name, build in _builders(cast(type, cls)) if name in plain})


@cache
def field_names(cls: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(cls))


@cache
def _builders(cls: type) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    hints = typing.get_type_hints(cls)
    return tuple((name, _builder(hints[name])) for name in field_names(cls))


def _builder(hint: Any) -> Callable[[Any], Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = _builder(next(arg for arg in args if arg is not types.NoneType))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        item = _builder(args[0])
        return lambda value: tuple(item(one) for one in value)
    if is_dataclass(hint):
        return lambda value: from_plain(cast(type, hint), value)
    if hint is bytes:  # Avro's JSON writes bytes as characters 0-255
        return lambda value: value.encode("latin-1") if isinstance(value, str) else value
    return lambda value: value


def to_json(record: Any) -> Plain:
    """For people and JSON files: like `to_plain`, with bytes shown as their length."""
    return cast(Plain, _json(to_plain(record)))


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value


__all__ = ["SchemaFile", "decode", "encode", "fingerprint_of", "from_plain", "to_json", "to_plain"]
