"""The objectives in force: the shipped ones, and the user's own laid over them."""

import json
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.core.objectives import Objective
from chaosdrills.errors import UsageError
from chaosdrills.host.settings import OVERRIDE, load_objectives

SHIPPED = {
    "kafka": Objective("kafka", 600, 900, 0, 90),
    "redis": Objective("redis", 600, 3600, None, 90),
    "timescaledb": Objective("timescaledb", 900, 86_400, None, 90),
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the override names."""
    monkeypatch.setenv(OVERRIDE, str(tmp_path / "own.json"))
    return tmp_path / "own.json"


def entry(**values: Any) -> dict[str, Any]:
    return {"rto_s": 30, "rpo_s": 0, "max_lost": None, "cadence_days": 7, **values}


@pytest.mark.parametrize("value", [None, ""])
def test_without_an_override_they_are_the_shipped_ones(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OVERRIDE, raising=False)
    if value is not None:
        monkeypatch.setenv(OVERRIDE, value)
    assert load_objectives() == SHIPPED


def test_an_override_replaces_its_services_and_leaves_the_others(own: Path) -> None:
    own.write_text(json.dumps({"kafka": entry(), "payments": entry(max_lost=5)}))
    assert load_objectives() == {
        **SHIPPED,
        "kafka": Objective("kafka", 30, 0, None, 7),
        "payments": Objective("payments", 30, 0, 5, 7),
    }


def test_an_override_need_only_say_what_it_changes(own: Path) -> None:
    own.write_text('{"kafka": {"rto_s": 30}, "redis": {}}')
    assert load_objectives() == {**SHIPPED, "kafka": Objective("kafka", 30, 900, 0, 90)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("{", "which cannot be read"),
        ("[]", "is not an object of services"),
        ('{"payments": {"rto_s": 30}}', "payments does not have exactly"),
        ('{"kafka": {"rto": 30}}', "kafka does not have exactly"),
        ('{"kafka": 30}', "kafka does not have exactly"),
        (json.dumps({"kafka": entry(max_lost=0.5)}), "kafka.max_lost is 0.5"),
        ('{"kafka": {"rto_s": NaN, "rpo_s": 0, "max_lost": 0, "cadence_days": 7}}', "NaN is not a number of JSON"),
        (
            '{"kafka": {"rto_s": 1e400, "rpo_s": 0, "max_lost": 0, "cadence_days": 7}}',
            "it holds a number that is not finite",
        ),
    ],
)
def test_an_override_that_cannot_be_used_is_named(own: Path, text: str | None, said: str) -> None:
    if text is not None:
        own.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_objectives()
    assert said in caught.value.message
    assert str(own) in caught.value.message
