"""JSON read strictly: a value or a `ValueError`, and never another error."""

import re

import pytest

from chaosdrills.core.strict import loads


def test_what_is_clear_is_read() -> None:
    assert loads(b'{"a": [1, 2.5, "\xc3\xbc", null, true, {"a": {}}]}') == {"a": [1, 2.5, "ü", None, True, {"a": {}}]}
    assert loads("[]") == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "Expecting value: line 1 column 1 (char 0)"),
        (b'{"a": 1, "a": 1}', 'the key "a" is there twice'),
        (b'[{"b": {"a": 1, "c": 2, "a": 3}}]', 'the key "a" is there twice'),
        (b"[NaN]", "NaN is not a number of JSON"),
        (b"-Infinity", "-Infinity is not a number of JSON"),
        (b"1e999", "it holds a number that is not finite"),
        (b'"\\ud800"', "it holds text that is not valid (a lone surrogate)"),
        (b'{"\\udfff": 1}', "it holds text that is not valid (a lone surrogate)"),
        (b'"\xff"', "it is not UTF-8 (byte 1)"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"a":' * 100_000, "it is nested too deeply"),
    ],
)
def test_what_is_not_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as caught:
        loads(data)
    assert str(caught.value) == why


def test_a_number_of_any_length_is_no_other_error() -> None:
    with pytest.raises(ValueError, match="limit"):
        loads("9" * 10_000)
