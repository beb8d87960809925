"""Objectives: exactly four entries a service, each of its kind; anything else is named."""

from typing import Any

import pytest

from chaosdrills.core.objectives import Objective, parse_objectives
from chaosdrills.errors import UsageError

KAFKA: dict[str, Any] = {"rto_s": 600, "rpo_s": 900.5, "max_lost": 0, "cadence_days": 90}


def test_objectives_by_service() -> None:
    parsed = parse_objectives({"kafka": KAFKA, "redis": {**KAFKA, "max_lost": None}}, "x.json")
    assert parsed == {
        "kafka": Objective("kafka", 600, 900.5, 0, 90),
        "redis": Objective("redis", 600, 900.5, None, 90),
    }
    assert parse_objectives({}, "x.json") == {}


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        *((name, value, "a number") for name in ("rto_s", "rpo_s") for value in (-1, True, "600", None, NAN, INFINITE)),
        *(("max_lost", value, "a whole number") for value in (-1, 0.5, False, "0", 1e10)),
        *(("cadence_days", value, "a whole number") for value in (-1, 1.5, True, None, "90")),
    ],
)
def test_a_value_of_another_kind_is_named(name: str, value: Any, kind: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_objectives({"kafka": {**KAFKA, name: value}}, "x.json")
    assert caught.value.message == f"x.json: kafka.{name} is {value!r}."
    assert caught.value.hint == f"give {kind} from 0 up."


@pytest.mark.parametrize(
    "entry", [{}, [], None, 600, {**KAFKA, "rto": 1}, {key: KAFKA[key] for key in ("rto_s", "rpo_s", "max_lost")}]
)
def test_entries_that_are_missing_or_too_many_are_named(entry: Any) -> None:
    with pytest.raises(UsageError, match=r"x\.json: kafka does not have exactly cadence_days, max_lost, rpo_s, rto_s"):
        parse_objectives({"kafka": entry}, "x.json")


@pytest.mark.parametrize("data", [[], None, 5, "kafka"])
def test_what_is_no_object_is_named(data: Any) -> None:
    with pytest.raises(UsageError, match=r"x\.json is not an object of services"):
        parse_objectives(data, "x.json")
