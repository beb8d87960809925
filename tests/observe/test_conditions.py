"""Abort conditions: which are understood, and when one holds."""

from typing import Any

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.observe.conditions import Conditions, Watch, conditions_of

CALM = {"age_s": 0.1, "bad_share": 0.0}
OLD = {"age_s": 61.25, "bad_share": 0.0}
BAD = {"age_s": 0.1, "bad_share": 0.75}


def test_conditions() -> None:
    assert conditions_of(None) is None
    assert conditions_of({"age_s": 60}) == Conditions(age_s=60, for_s=10)
    assert conditions_of({"bad_share": 0.5, "for_s": 0}) == Conditions(bad_share=0.5, for_s=0)


@pytest.mark.parametrize(
    "given",
    [
        {}, [], "age_s", {"for_s": 5}, {"age": 5}, {"age_s": 5, "more": 1}, {"age_s": 0}, {"age_s": -1},
        {"age_s": "60"},
        {"age_s": True}, {"age_s": None}, {"age_s": float("nan")}, {"bad_share": 1}, {"bad_share": 0},
        {"age_s": 5, "for_s": -1}, {"age_s": 5, "for_s": float("inf")},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_condition(given: Any) -> None:
    with pytest.raises(UsageError, match="abort_when is ") as caught:
        conditions_of(given)
    assert '{"age_s": 60, "bad_share": 0.5, "for_s": 30}' in caught.value.hint


def looked(conditions: Conditions, *looks: tuple[float, dict[str, Any] | None]) -> list[str]:
    watch = Watch(conditions)
    return [watch.look(now_s, figures) for now_s, figures in looks]


def test_a_bound_must_be_exceeded_for_long_enough() -> None:
    conditions = Conditions(age_s=60, bad_share=0.5, for_s=30)
    said = looked(conditions, (0, OLD), (29.9, {**OLD, "age_s": 99}), (30, OLD))
    assert said == ["", "", "what readers see was up to 99.0 s old, more than 60 s, for 30.0 s (30 s are allowed)"]
    assert looked(conditions, (0, OLD), (29, CALM), (30, OLD), (59, OLD)) == [""] * 4, "it was interrupted"
    said = looked(conditions, (5, BAD), (35, BAD))
    assert said[1] == "up to 75% of all operations were bad, more than 50%, for 30.0 s (30 s are allowed)"
    assert looked(conditions, (0, OLD), (20, BAD), (40, OLD)) == [""] * 3, "each condition by itself"


def test_at_the_bound_is_within_it() -> None:
    conditions = Conditions(age_s=61.25, bad_share=0.75, for_s=0)
    assert looked(conditions, (0, OLD), (1, BAD)) == ["", ""]


def test_at_once() -> None:
    assert looked(Conditions(age_s=60, for_s=0), (0, OLD)) != [""]


def test_what_is_not_watched_exceeds_nothing() -> None:
    assert looked(Conditions(bad_share=0.5, for_s=0), (0, {"age_s": None, "bad_share": 0.1})) == [""]


def test_an_observer_that_sends_nothing_any_more_tells_no_figures() -> None:
    nothing_due = {"age_s": 0.1, "bad_share": None}
    looks = looked(Conditions(bad_share=0.5, for_s=10), (0, nothing_due), (10, nothing_due))
    assert looks == ["", "the observer told no figures for 10.0 s (10 s are allowed)"]


def test_figures_that_cannot_be_had() -> None:
    """Nobody sees how much it hurts; and what hurt before has not stopped because nobody looks."""
    conditions = Conditions(age_s=60, for_s=10)
    assert looked(conditions, (0, None), (10, None)) == [
        "",
        "the observer told no figures for 10.0 s (10 s are allowed)",
    ]
    assert looked(conditions, (0, None), (9, CALM), (18, None)) == [""] * 3
    said = looked(conditions, (0, OLD), (5, None), (10, OLD))
    assert said[2].startswith("what readers see was up to 61.2 s old")
