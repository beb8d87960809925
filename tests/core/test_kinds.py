"""Whether a value of JSON is of the type that our own code says."""

from typing import Any

import pytest

from chaosdrills.core.kinds import in_words, is_of


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, int, True), (True, int, False), (1.5, int, False), ("1", int, False),
        (1, float, True), (1.5, float, True), (False, float, False), (True, bool, True), (1, bool, False),
        (None, str | None, True), ("a", str | None, True), (1, str | None, False), ([1], Any, True),
        (["a"], list[str], True), (["a", 1], list[str], False), ("a", list[str], False), ([], list[str], True),
        ({"a": 1}, dict[str, int], True), ({"a": True}, dict[str, int], False), ({1: 1}, dict[str, int], False),
        ({"a": [None]}, dict[str, Any], True), ([], dict[str, Any], False),
    ],
)  # fmt: skip
def test_of_a_type(value: Any, hint: Any, expected: bool) -> None:
    assert is_of(value, hint) is expected


def test_in_words() -> None:
    assert in_words(str) == "a text"
    assert in_words(list[str] | None) == "a list of texts, or null"
    assert in_words(dict[str, Any]) == "an object"
