"""Keys and fields, byte by byte as Feast makes them (`test_against_feast` holds them to that)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaosdrills.feast.layout import (
    Row,
    asked,
    entities_of,
    feature_field,
    fields_of,
    row_key,
    row_of,
    time_field,
)
from chaosdrills.feast.wire import BOOL, BYTES, FLOAT, INT32, INT64, STRING, UNIX_TIMESTAMP, Malformed, Value

DRIVER = {"driver": Value(INT64, 1001)}
DRIVER_KEY = (
    b"\x01\x00\x00\x00\x02\x00\x00\x00\x06\x00\x00\x00driver"
    b"\x04\x00\x00\x00\x08\x00\x00\x00\xe9\x03\x00\x00\x00\x00\x00\x00shop"
)
TWO = {"row": Value(STRING, "r1"), "city": Value(INT32, -2)}
TWO_KEY = (
    b"\x02\x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00city\x02\x00\x00\x00\x03\x00\x00\x00row"
    b"\x03\x00\x00\x00\x04\x00\x00\x00\xfe\xff\xff\xff\x02\x00\x00\x00\x02\x00\x00\x00r1shop"
)
AT_NS = 1_800_000_000_250_000_000
AT = b"\x08\x80\xa4\xa7\xda\x06\x10\x80\xe5\x9aw"

entity_values = st.one_of(
    st.builds(Value, st.just(STRING), st.text()),
    st.builds(Value, st.just(BYTES), st.binary()),
    st.builds(Value, st.just(INT32), st.integers(-(1 << 31), (1 << 31) - 1)),
    st.builds(Value, st.sampled_from([INT64, UNIX_TIMESTAMP]), st.integers(-(1 << 63), (1 << 63) - 1)),
)


@pytest.mark.parametrize(("entities", "key"), [(DRIVER, DRIVER_KEY), (TWO, TWO_KEY)])
def test_the_key_of_a_row(entities: dict[str, Value], key: bytes) -> None:
    assert row_key("shop", entities) == key
    assert entities_of("shop", key) == entities


def test_the_names_of_fields() -> None:
    assert feature_field("driver_stats", "trips") == b"Bj\xa44"
    assert feature_field("drill", "seq") == b"\\\xf2\xa6\xb4"
    assert time_field("drill") == b"_ts:drill"
    assert asked("drill", ["seq"]) == [b"\\\xf2\xa6\xb4", b"_ts:drill"]


def test_the_fields_of_a_write() -> None:
    fields = fields_of("drill", {"seq": Value(INT64, 300)}, AT_NS)
    assert fields == {b"_ts:drill": AT, b"\\\xf2\xa6\xb4": b" \xac\x02"}
    assert row_of([fields[name] for name in asked("drill", ["seq"])]) == Row((Value(INT64, 300),), AT_NS)


@pytest.mark.parametrize(
    ("contents", "served"),
    [
        ([b" \x07", AT], True),
        ([b" \x00", AT], True),
        ([None, None], False),
        ([None, AT], False),
        ([b"", AT], False),
        ([b"\x98\x01\x00", AT], False),
        ([b" \x07", None], False),
        ([b" \x07", b""], False),
        ([b" \x07", None, AT], False),
    ],
)
def test_served_is_what_is_there_with_its_time(contents: list[bytes | None], served: bool) -> None:
    assert row_of(contents).is_served == served


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (b"", "cut short"),
        (DRIVER_KEY[:30], "cut short"),
        (DRIVER_KEY + b"s", "of another project"),
        (DRIVER_KEY.replace(b"\x06\x00\x00\x00driver", b"\x06\x00\x00\x00driv\xff\xff"), "not UTF-8"),
        (DRIVER_KEY.replace(b"\x04\x00\x00\x00\x08", b"\x09\x00\x00\x00\x08"), "a part of type 9"),
        (DRIVER_KEY.replace(b"\x04\x00\x00\x00\x08", b"\x03\x00\x00\x00\x08"), "an int32 of 8 bytes"),
        (TWO_KEY.replace(b"city", b"zity"), "out of order"),
        (b"chaosdrills:1:0", "a part of type"),
    ],
)
def test_another_key_is_none_of_ours(key: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        entities_of("shop", key)


@pytest.mark.parametrize("value", [Value(), Value(FLOAT, 1.0), Value(BOOL, True), Value(INT32, 1 << 31)])
def test_what_no_entity_has(value: Value) -> None:
    with pytest.raises(ValueError, match=r"an entity has no value|is no int32"):
        row_key("shop", {"driver": value})


@given(st.dictionaries(st.text(min_size=1), entity_values), st.text())
def test_every_key_comes_back(entities: dict[str, Value], project: str) -> None:
    assert entities_of(project, row_key(project, entities)) == entities


@given(st.binary(max_size=60))
def test_any_key_is_read_or_malformed(key: bytes) -> None:
    with suppress(Malformed):
        assert row_key("p", entities_of("p", key)) == key
