"""The two messages of Protocol Buffers that Feast keeps in a Redis: a feature's value and an event time.

Both are a row of fields, each a *tag* and a payload. A tag is the varint ``number << 3 | type``; a *varint* holds 7
bits a byte, the lowest first, with 0x80 set in all bytes but the last, at most 10. Types: 0 is a varint, 1 eight bytes,
5 four bytes, 2 a varint of a length and so many bytes. Fields may come in any order; of one that comes twice the last
counts; an unknown one is passed over. Numbers with a sign are 64 bits of two's complement.

*Value* (``feast.types.Value``): one field says what it is: 1 bytes and 2 string of type 2, the latter UTF-8; 3 int32,
4 int64, 7 bool and 8 unix_timestamp varints; 5 double of type 1 and 6 float of type 5, little-endian; 19 null, a
varint. Without any it is Feast's "no value". Lists, maps and the rest have other numbers; such a value is there, and is
not read any further (`OTHER`).

*Timestamp* (``google.protobuf.Timestamp``): field 1 seconds since 1970, field 2 nanoseconds from 0 to 999,999,999, both
varints, a 0 left out.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

NS = 1_000_000_000
VARINT, EIGHT, SIZED, FOUR = 0, 1, 2, 5
BYTES, STRING, INT32, INT64, DOUBLE, FLOAT, BOOL, UNIX_TIMESTAMP, NULL = KINDS = (
    "bytes", "string", "int32", "int64", "double", "float", "bool", "unix_timestamp", "null",
)  # fmt: skip
NOTHING, OTHER = "", "other"
NUMBERS = dict(zip(KINDS, (1, 2, 3, 4, 5, 6, 7, 8, 19), strict=True))
"""The field of each kind in a Value, and (but for null's) its number among Feast's types."""
_KIND_OF = {number: kind for kind, number in NUMBERS.items()}
_TYPES = {BYTES: SIZED, STRING: SIZED, DOUBLE: EIGHT, FLOAT: FOUR}
_FIXED = {DOUBLE: "<d", FLOAT: "<f"}
_WIDTHS = {INT32: 32, INT64: 64, UNIX_TIMESTAMP: 64, NULL: 32}

Scalar = bytes | str | int | float | bool | None


class Malformed(ValueError):
    """Bytes that are not what they should be."""


@dataclass(frozen=True)
class Value:
    """A value of Feast's: its `kind`, one of `KINDS`, `NOTHING` or `OTHER`, and what it holds (None of those two)."""

    kind: str = NOTHING
    held: Scalar = None

    @property
    def is_there(self) -> bool:
        """Whether there is a value at all."""
        return self.kind not in (NOTHING, NULL)


def encode_value(value: Value) -> bytes:
    """The message. Raises `ValueError` for a value that does not fit its kind."""
    if value.kind == NOTHING:
        return b""
    if value.kind not in NUMBERS:
        raise ValueError(f"a value of kind {value.kind!r} is not written.")
    tag = _varint(NUMBERS[value.kind] << 3 | _TYPES.get(value.kind, VARINT))
    if value.kind in _FIXED:
        if not isinstance(value.held, float):
            raise ValueError(f"{value.held!r} is no {value.kind}.")
        return tag + struct.pack(_FIXED[value.kind], value.held)
    if value.kind in (BYTES, STRING):
        held = value.held.encode() if isinstance(value.held, str) else value.held
        if not isinstance(held, bytes) or isinstance(value.held, str) != (value.kind == STRING):
            raise ValueError(f"{value.held!r} is no {value.kind}.")
        return tag + _varint(len(held)) + held
    number = 0 if value.kind == NULL else value.held
    if not isinstance(number, int) or not _fits(value.kind, number):
        raise ValueError(f"{value.held!r} is no {value.kind}.")
    return tag + _varint(number)


def decode_value(data: bytes) -> Value:
    """The value that the message holds. Raises `Malformed`."""
    found = Value()
    for number, kind, payload in _fields(data):
        known = _KIND_OF.get(number)
        if known is None:
            found = Value(OTHER)
        elif kind != _TYPES.get(known, VARINT):
            raise Malformed(f"a value whose field {number} has type {kind}")
        else:
            found = _held(known, payload)
    return found


def encode_timestamp(at_ns: int) -> bytes:
    """The message of an instant, in nanoseconds since 1970."""
    seconds, nanos = divmod(at_ns, NS)
    return b"".join(bytes([number << 3]) + _varint(part) for number, part in ((1, seconds), (2, nanos)) if part)


def decode_timestamp(data: bytes) -> int:
    """The instant that the message holds, in nanoseconds since 1970. Raises `Malformed`."""
    parts = {1: 0, 2: 0}
    for number, kind, payload in _fields(data):
        if number in parts:
            if kind != VARINT or not isinstance(payload, int):
                raise Malformed(f"a timestamp whose field {number} has type {kind}")
            parts[number] = _signed(payload, 64 if number == 1 else 32)
    if not 0 <= parts[2] < NS:
        raise Malformed("a timestamp with more than a second of nanoseconds")
    return parts[1] * NS + parts[2]


def _held(kind: str, payload: int | bytes) -> Value:
    """What a field of this kind holds."""
    if isinstance(payload, int):
        if kind == BOOL:
            return Value(kind, payload != 0)
        return Value(kind, None if kind == NULL else _signed(payload, _WIDTHS[kind]))
    if kind in _FIXED:
        return Value(kind, struct.unpack(_FIXED[kind], payload)[0])
    if kind == BYTES:
        return Value(kind, payload)
    try:
        return Value(kind, payload.decode())
    except UnicodeDecodeError as error:
        raise Malformed("a string that is not UTF-8") from error


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Number, type and payload of each field."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise Malformed(f"a field with the number {number}")
        if kind == VARINT:
            payload, at = _read_varint(data, at)
            yield number, kind, payload
            continue
        size = {EIGHT: 8, FOUR: 4}.get(kind, -1)
        if kind == SIZED:
            size, at = _read_varint(data, at)
        if size < 0:
            raise Malformed(f"a field of type {kind}")
        if len(data) - at < size:
            raise Malformed("a field that is cut short")
        yield number, kind, data[at : at + size]
        at += size


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Malformed("a number that is cut short")
        number |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return number & (1 << 64) - 1, at
    raise Malformed("a number without an end")


def _signed(number: int, bits: int) -> int:
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> bits - 1 else number


def _fits(kind: str, number: int) -> bool:
    if kind == BOOL:
        return number in (0, 1)
    half = 1 << _WIDTHS[kind] - 1
    return -half <= number < half
