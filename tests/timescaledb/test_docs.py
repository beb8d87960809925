"""docs/timescaledb.md names every PostgreSQL activity, with an example that `chaos validate` accepts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from chaosdrills import discover

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "timescaledb.md").read_text()
BLOCKS = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.S | re.M)]
EXAMPLES = {block["provider"]["func"]: block for block in BLOCKS if "provider" in block}
LISTED = {each["name"]: each for each in discover()["activities"] if ".timescaledb." in each["mod"]}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page's configuration takes from the environment."""
    monkeypatch.setenv("TIMESCALEDB_DSN", "postgresql://drill@db-1,db-2/orders")
    monkeypatch.setenv("TIMESCALEDB_PASSWORD", "a word")


def experiment(example: dict[str, Any]) -> dict[str, Any]:
    """A whole experiment around an example, and the configuration that the page shows."""
    (configured,) = [block for block in BLOCKS if "configuration" in block]
    probes, method = ([example], []) if example["type"] == "probe" else ([], [example])
    return {
        "title": "An example",
        "description": "From the page.",
        **configured,
        "steady-state-hypothesis": {"title": "All is well", "probes": probes},
        "method": method,
    }


def test_every_activity_that_is_discovered_has_its_heading_and_one_example() -> None:
    assert {name: it["type"] for name, it in EXAMPLES.items()} == {name: it["type"] for name, it in LISTED.items()}
    assert sorted(re.findall(r"^### `(\w+)`$", PAGE, re.M)) == sorted(LISTED)
    assert len([block for block in BLOCKS if "provider" in block]) == len(LISTED)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_valid(name: str) -> None:
    ensure_experiment_is_valid(experiment(EXAMPLES[name]))


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_tolerance_looks_at_what_the_activity_answers(name: str) -> None:
    """Its target is a key of the answer that the activity's own help shows."""
    example = EXAMPLES[name]
    if example["type"] == "probe":
        assert f'"{example["tolerance"]["target"]}":' in LISTED[name]["doc"]


def test_every_variable_that_an_experiment_takes_is_told_of() -> None:
    experiments = Path(__file__).resolve().parents[2] / "experiments"
    taken = {
        it
        for path in experiments.glob("timescaledb-*.json")
        for it in re.findall(r'"(TIMESCALEDB_\w+)"', path.read_text())
    }
    told = set(
        re.findall(r"`(TIMESCALEDB_\w+)`", "".join(line for line in PAGE.splitlines() if line.startswith("| `TIME")))
    )
    assert told == taken
