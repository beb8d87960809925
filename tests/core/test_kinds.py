"""Whether a value of JSON is of the type that our own code says."""

from typing import Any

import pytest

from chaosdrills.core.kinds import in_words, is_of, may_be


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


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        ("${x}", int, True), ("${x}", list, True), ("a", str, True), (1, str, False), (None, str, False),
        ("12", int, True), ("1.5", int, False), ("1.5", float, True), ("soon", float, False), (2, float, True),
        ("False", bool, True), ("no", bool, False), (1, bool, False), (True, int, False), (None, int, False),
        ("", list, True), (None, dict, True), ("a b", list, False), ([1], list, True), ([], dict, False),
    ],
)  # fmt: skip
def test_what_an_experiment_says_may_be_of_a_type(value: Any, hint: Any, expected: bool) -> None:
    assert may_be(value, hint) is expected


def test_in_words() -> None:
    assert in_words(str) == "a text"
    assert in_words(list[str] | None) == "a list of texts, or null"
    assert in_words(dict[str, Any]) == "an object"
