"""Where Feast keeps a row of features in a Redis, and what stands there: its online store's layout, version 3.

A row is a hash. Its *key* is the entity key and, right after it, the project's name in UTF-8. The *entity key* is, all
numbers being 4 bytes little-endian without a sign:

- the number of join keys;
- for each of them, in the order of their names: 2 (a string), the length of its name, its name in UTF-8;
- for each, in the same order: the type of its value, the length of its value, its value. Types are 1 bytes, 2 string
  in UTF-8, 3 int32 in 4 bytes, 4 int64 and 8 unix_timestamp in 8, little-endian with a sign.

A *field* of the hash is a feature of a view: its name is the MurmurHash3 (x86, 32 bits, seed 0) of ``view:feature`` in
4 bytes little-endian, its content a `Value`. The field ``_ts:view`` holds the event time of the view's row, a
`Timestamp`. All features of a view, and its event time, are written at once; several views may share a row.

Feast answers for a row that is not there, and for a field that is not, that the value is None, the event time 1970 and
the status PRESENT. So here a feature is *served* only if its value is there and its event time is not 1970.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mmh3

from chaosdrills.feast.wire import (
    BYTES,
    INT32,
    INT64,
    NUMBERS,
    STRING,
    UNIX_TIMESTAMP,
    Malformed,
    Value,
    decode_timestamp,
    decode_value,
    encode_timestamp,
    encode_value,
)

_PACKED = {INT32: "<i", INT64: "<q", UNIX_TIMESTAMP: "<q"}
_KINDS = {NUMBERS[kind]: kind for kind in (BYTES, STRING, *_PACKED)}


@dataclass(frozen=True)
class Row:
    """What a view's row holds of the features that were asked for, in that order, and its event time."""

    values: tuple[Value, ...]
    event_ns: int

    @property
    def is_served(self) -> bool:
        """Whether every feature of it is: its value is there, and its event time is not 1970."""
        return self.event_ns > 0 and all(value.is_there for value in self.values)


def row_key(project: str, entities: Mapping[str, Value]) -> bytes:
    """The key of the row of these entities, by join key. Raises `ValueError` for a value that no entity has."""
    names = sorted(entities)
    parts = [_number(len(names))]
    for name in names:
        parts += [_number(NUMBERS[STRING]), _sized(name.encode())]
    for name in names:
        parts += [_number(NUMBERS.get(entities[name].kind, 0)), _sized(_entity_bytes(entities[name]))]
    return b"".join(parts) + project.encode()


def entities_of(project: str, key: bytes) -> dict[str, Value]:
    """The entities of a row of this project, by join key. Raises `Malformed` for any other key."""
    count, at = _read_number(key, 0)
    names: list[str] = []
    values: list[Value] = []
    for _ in range(count):
        kind, name, at = _read_part(key, at)
        if kind != STRING:
            raise Malformed("a key whose join key is no string")
        names.append(_text(name))
    for _ in range(count):
        kind, raw, at = _read_part(key, at)
        values.append(_entity_value(kind, raw))
    if key[at:] != project.encode():
        raise Malformed("a key of another project")
    if names != sorted(set(names)):
        raise Malformed("a key whose join keys are out of order")
    return dict(zip(names, values, strict=True))


def feature_field(view: str, feature: str) -> bytes:
    """The name of the field of a feature."""
    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def time_field(view: str) -> bytes:
    """The name of the field of a view's event time."""
    return f"_ts:{view}".encode()


def fields_of(view: str, features: Mapping[str, Value], event_ns: int) -> dict[bytes, bytes]:
    """The fields that a write of a view's row sets. Raises `ValueError` for a value that does not fit its kind."""
    fields = {feature_field(view, name): encode_value(value) for name, value in features.items()}
    return {time_field(view): encode_timestamp(event_ns), **fields}


def asked(view: str, features: Sequence[str]) -> list[bytes]:
    """The fields to ask for, which `row_of` understands."""
    return [*(feature_field(view, name) for name in features), time_field(view)]


def row_of(contents: Sequence[bytes | None]) -> Row:
    """The row that the contents of the fields `asked` for are; what is not there is no value. Raises `Malformed`."""
    *values, event = [content or b"" for content in contents]
    return Row(tuple(map(decode_value, values)), decode_timestamp(event))


def _entity_bytes(value: Value) -> bytes:
    encode_value(value)  # that it fits its kind
    if value.kind in _PACKED:
        return struct.pack(_PACKED[value.kind], value.held)
    if isinstance(value.held, str):
        return value.held.encode()
    if isinstance(value.held, bytes):
        return value.held
    raise ValueError(f"an entity has no value of kind {value.kind!r}.")


def _entity_value(kind: str, raw: bytes) -> Value:
    if kind == STRING:
        return Value(kind, _text(raw))
    if kind == BYTES:
        return Value(kind, raw)
    if len(raw) != struct.calcsize(_PACKED[kind]):
        raise Malformed(f"a key with an {kind} of {len(raw)} bytes")
    return Value(kind, struct.unpack(_PACKED[kind], raw)[0])


def _number(number: int) -> bytes:
    return struct.pack("<I", number)


def _sized(data: bytes) -> bytes:
    return _number(len(data)) + data


def _read_number(key: bytes, at: int) -> tuple[int, int]:
    if len(key) - at < 4:
        raise Malformed("a key that is cut short")
    return struct.unpack_from("<I", key, at)[0], at + 4


def _read_part(key: bytes, at: int) -> tuple[str, bytes, int]:
    """The kind of a part, its bytes, and where it ends."""
    number, at = _read_number(key, at)
    size, at = _read_number(key, at)
    if number not in _KINDS:
        raise Malformed(f"a key with a part of type {number}")
    if len(key) - at < size:
        raise Malformed("a key that is cut short")
    return _KINDS[number], key[at : at + size], at + size


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a key that is not UTF-8") from error
