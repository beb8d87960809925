"""The shipped experiments: held to the objectives, valid, and of the house's shape."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from chaoslib import substitute
from chaoslib.configuration import load_configuration

from chaosdrills.cli.experiments import shipped
from chaosdrills.core.parameters import Parameters
from chaosdrills.host.settings import load_objectives
from chaosdrills.observe.arguments import polls_of
from chaosdrills.observe.tolerances import limits_of

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = {name: json.loads(content) for name, content in shipped().items()}


def arguments(experiment: dict[str, Any], control: str) -> dict[str, Any]:
    return next(one["provider"]["arguments"] for one in experiment["controls"] if one["name"] == control)


def test_there_are_the_experiments_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| `((?:kafka|timescaledb|redis|feast)-[a-z-]+)` \|", readme, re.MULTILINE)
    assert {f"{name}.json" for name in rows} == set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_tolerances_are_the_objectives(name: str) -> None:
    experiment = EXPERIMENTS[name]
    objective = load_objectives()[arguments(experiment, "observe")["service"]]
    limits = limits_of(experiment)
    assert (limits.rto_s, limits.rpo_s) == (objective.rto_s, objective.rpo_s)
    assert limits.max_unavailable_s in (None, objective.rto_s), "users wait no longer than writers may"
    if objective.service == "redis" and limits.most_lost is None:
        return  # it replicates asynchronously: what a failover loses is judged by the RPO, unless a drill is about it
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
    waiting = [one for one in experiment["method"] if one["provider"]["func"] == "wait_recovered"]
    if arguments(experiment, "observe")["workload_arguments"].get("old_connections"):
        assert waiting == [], "clients that stay at an old address never recover"
    else:
        assert waiting[0]["provider"]["arguments"]["timeout_s"] == limits_of(experiment).rto_s


@pytest.mark.parametrize("url", ["", "https://staging.example/health"])
def test_the_application_is_polled_only_where_somebody_says_where_it_is(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = EXPERIMENTS["timescaledb-primary-loss.json"]
    monkeypatch.delenv("TIMESCALEDB_APP_EXPECT", raising=False)
    monkeypatch.delenv("TIMESCALEDB_APP_URL", raising=False)
    if url:
        monkeypatch.setenv("TIMESCALEDB_APP_URL", url)
    configuration = load_configuration(experiment["configuration"])
    given = substitute({"polls": arguments(experiment, "observe")["polls"]}, configuration, {})["polls"]
    assert given[0]["expect"] == {"status": 200, "json": "database.state", "equals": "up"}
    polled, limits = polls_of(given, limits_of(experiment), Parameters())
    assert ([one["url"] for one in polled], limits.max_unavailable_s) == (([url], 900) if url else ([], None))


def test_the_folder_at_the_root_is_what_travels_with_the_package() -> None:
    assert {path.name: path.read_bytes() for path in (ROOT / "experiments").glob("*.json")} == shipped()
