"""The shipped experiments: held to the objectives, valid, and of the house's shape."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.cli.experiments import shipped
from chaosdrills.host.settings import load_objectives
from chaosdrills.observe.tolerances import limits_of

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = {name: json.loads(content) for name, content in shipped().items()}


def arguments(experiment: dict[str, Any], control: str) -> dict[str, Any]:
    return next(one["provider"]["arguments"] for one in experiment["controls"] if one["name"] == control)


def test_there_are_the_experiments_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert {
        f"{name}.json" for name in re.findall(r"^\| `((?:kafka|timescaledb)-[a-z-]+)` \|", readme, re.MULTILINE)
    } == set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_tolerances_are_the_objectives(name: str) -> None:
    experiment = EXPERIMENTS[name]
    objective = load_objectives()[arguments(experiment, "observe")["service"]]
    limits = limits_of(experiment)
    assert (limits.rto_s, limits.rpo_s) == (objective.rto_s, objective.rpo_s)
    assert limits.most_lost == (objective.max_lost or 0), "a failover loses nothing, whatever a restore may"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_says_what_it_hits_how_long_it_takes_and_what_it_needs(name: str) -> None:
    (said,) = [block for block in EXPERIMENTS[name]["extensions"] if block["name"] == "chaosdrills"]
    assert set(said) == {"name", "hits", "minutes", "needs", "expected"}
    assert said["expected"] in ("met", "missed")
    assert isinstance(said["hits"], str)
    assert said["hits"]
    assert 0 < said["minutes"] <= 60
    assert said["needs"]
    assert all(isinstance(need, str) and need for need in said["needs"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_shape_of_a_drill(name: str) -> None:
    experiment = EXPERIMENTS[name]
    assert experiment["runtime"]["rollbacks"]["strategy"] == "always"
    assert [control["name"] for control in experiment["controls"]] == ["lab", "observe"]
    assert arguments(experiment, "observe")["name"] == name.removesuffix(".json")
    assert experiment["rollbacks"][-1]["provider"]["func"] in ("heal_brokers", "heal_consumers", "heal_nodes")
    waiting = next(one for one in experiment["method"] if one["provider"]["func"] == "wait_recovered")
    assert waiting["provider"]["arguments"]["timeout_s"] == limits_of(experiment).rto_s


def test_the_folder_at_the_root_is_what_travels_with_the_package() -> None:
    assert {path.name: path.read_bytes() for path in (ROOT / "experiments").glob("*.json")} == shipped()
