"""The messages, byte by byte as Feast's own classes write them (`test_against_feast` holds them to those)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaosdrills.feast.wire import (
    BOOL,
    BYTES,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    NULL,
    OTHER,
    STRING,
    UNIX_TIMESTAMP,
    Malformed,
    Value,
    decode_timestamp,
    decode_value,
    encode_timestamp,
    encode_value,
)

VALUES = [
    (Value(), b""),
    (Value(INT64, 0), b" \x00"),
    (Value(INT64, 300), b" \xac\x02"),
    (Value(INT32, -1), b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    (Value(STRING, "é"), b"\x12\x02\xc3\xa9"),
    (Value(BYTES, b"\0\1"), b"\n\x02\x00\x01"),
    (Value(DOUBLE, 1.5), b")\x00\x00\x00\x00\x00\x00\xf8?"),
    (Value(FLOAT, -2.25), b"5\x00\x00\x10\xc0"),
    (Value(BOOL, True), b"8\x01"),
    (Value(UNIX_TIMESTAMP, 1_700_000_000), b"@\x80\xe2\xcf\xaa\x06"),
    (Value(NULL), b"\x98\x01\x00"),
]
INSTANTS = [
    (0, b""),
    (1_800_000_000_250_000_000, b"\x08\x80\xa4\xa7\xda\x06\x10\x80\xe5\x9aw"),
    (-1, b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\xff\x93\xeb\xdc\x03"),
]
LIST_OF_TWO = b"r\x04\n\x02\x01\x02"

scalars = st.one_of(
    st.builds(Value, st.just(BYTES), st.binary()),
    st.builds(Value, st.just(STRING), st.text()),
    st.builds(Value, st.just(INT32), st.integers(-(1 << 31), (1 << 31) - 1)),
    st.builds(Value, st.sampled_from([INT64, UNIX_TIMESTAMP]), st.integers(-(1 << 63), (1 << 63) - 1)),
    st.builds(Value, st.just(DOUBLE), st.floats(allow_nan=False)),
    st.builds(Value, st.just(FLOAT), st.floats(allow_nan=False, width=32)),
    st.builds(Value, st.just(BOOL), st.booleans()),
)


@pytest.mark.parametrize(("value", "data"), VALUES)
def test_a_value_is_written_and_read_as_feast_does(value: Value, data: bytes) -> None:
    assert (encode_value(value), decode_value(data)) == (data, value)


@pytest.mark.parametrize(("at_ns", "data"), INSTANTS)
def test_an_instant_is_written_and_read_as_feast_does(at_ns: int, data: bytes) -> None:
    assert (encode_timestamp(at_ns), decode_timestamp(data)) == (data, at_ns)


def test_what_is_a_value() -> None:
    there = [value.is_there for value, _ in VALUES]
    assert there == [False, *[True] * 9, False]
    assert decode_value(LIST_OF_TWO) == Value(OTHER)
    assert Value(OTHER).is_there, "a list is a value, if not one that we read"


def test_of_two_values_the_last_counts() -> None:
    assert decode_value(b" \x01" + b"\x12\x01a") == Value(STRING, "a")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b" ", "a number that is cut short"),
        (b" " + b"\xff" * 10, "a number without an end"),
        (b"\x12\x05abc", "a field that is cut short"),
        (b")\0\0", "a field that is cut short"),
        (b"\x12\x01\xff", "a string that is not UTF-8"),
        (b"\x22\x01a", "a value whose field 4 has type 2"),
        (b"\x23", "a field of type 3"),
        (b"\x00\x00", "a field with the number 0"),
    ],
)
def test_a_malformed_value(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        decode_value(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"\x0a\x00", "a timestamp whose field 1 has type 2"), (b"\x10\x80\x94\xeb\xdc\x03", "more than a second")],
)
def test_a_malformed_instant(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        decode_timestamp(data)


@pytest.mark.parametrize(
    "value",
    [
        Value(INT32, 1 << 31),
        Value(INT64, "1"),
        Value(STRING, b"a"),
        Value(BYTES, "a"),
        Value(DOUBLE, "1.5"),
        Value(BOOL, 2),
        Value(OTHER),
    ],
)
def test_what_does_not_fit_its_kind_is_not_written(value: Value) -> None:
    with pytest.raises(ValueError, match=r"is no|is not written"):
        encode_value(value)


@given(scalars)
def test_every_value_comes_back(value: Value) -> None:
    assert decode_value(encode_value(value)) == value


@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9))
def test_every_instant_comes_back(at_ns: int) -> None:
    assert decode_timestamp(encode_timestamp(at_ns)) == at_ns


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    for decode in (decode_value, decode_timestamp):
        with suppress(Malformed):
            decode(data)
