"""Values as experiments have them: of their type, or as texts from the environment."""

import pytest

from chaosdrills.core.values import count, mapping, refuse_unknown, seconds, seconds_of_a_day, truth
from chaosdrills.errors import UsageError


def test_texts_count_as_what_they_say() -> None:
    assert [count("n", value) for value in (3, "3", " 3 ")] == [3, 3, 3]
    assert [truth("t", value) for value in (True, "TRUE", "1", False, "false", "0")] == [True] * 3 + [False] * 3
    assert (seconds("s", "2.5"), seconds_of_a_day("s", 3)) == (2.5, 3.0)
    assert mapping("m", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (count, (0, -1, 2.0, True, "three", "9" * 20, None)),
        (truth, (1, "yes", None)),
        (seconds, (0, -1, "soon", True, float("nan"), 1e6, None)),
        (seconds_of_a_day, (0, 86_400, "soon", True, None)),
        (mapping, ([], "a", None)),
    ],
)
def test_others_are_refused_by_name(check, values) -> None:
    for value in values:
        with pytest.raises(UsageError, match="it is "):
            check("it", value)


def test_a_name_that_nobody_knows_is_told_with_what_was_meant() -> None:
    refuse_unknown("the workload", ["rate"], ["rate", "size"])
    with pytest.raises(UsageError, match="the workload has no argument 'rat'") as raised:
        refuse_unknown("the workload", ["rat"], ["rate", "size"])
    assert raised.value.hint == "did you mean rate?"
