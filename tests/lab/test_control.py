"""The lab control inside real runs of the Chaos Toolkit's own library."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chaoslib.exceptions import InterruptExecution, InvalidActivity

from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import wait_until
from chaosdrills.lab import control, lifecycle, supervision
from chaosdrills.lab.kafka import DEFAULT_ENDPOINT
from tests.conftest import REDIS_OFFSETS, free_base_port

pytestmark = pytest.mark.lab

RUN = [sys.executable, "-m", "tests.lab.run_experiment"]


def experiment(arguments: dict[str, Any], endpoint: str = DEFAULT_ENDPOINT) -> dict[str, Any]:
    """An experiment with the lab control, whose only activity says what it sees."""
    provider = {"type": "python", "module": "tests.lab.run_experiment", "func": "look"}
    return {
        "title": "lab",
        "description": "lab",
        "configuration": {
            "kafka_bootstrap_servers": {"type": "env", "key": "KAFKA_BOOTSTRAP_SERVERS", "default": endpoint}
        },
        "controls": [
            {
                "name": "lab",
                "provider": {"type": "python", "module": "chaosdrills.lab.control", "arguments": arguments},
            }
        ],
        "method": [{"type": "probe", "name": "look", "provider": provider}],
        "rollbacks": [],
    }


def run(folder: Path, described: dict[str, Any]) -> dict[str, Any]:
    """The journal of a run in a process of its own."""
    path = folder / "experiment.json"
    path.write_text(json.dumps(described))
    done = subprocess.run([*RUN, str(path)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    journal: dict[str, Any] = json.loads(done.stdout)
    journal["log"] = done.stderr
    return journal


def seen(journal: dict[str, Any]) -> dict[str, Any]:
    """What the activity saw."""
    (activity,) = journal["run"]
    assert activity["status"] == "succeeded", activity
    output: dict[str, Any] = activity["output"]
    return output


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)


def test_a_lab_is_there_for_the_run_and_gone_afterwards(own_state: Path, tmp_path: Path) -> None:
    base_port = free_base_port()
    journal = run(tmp_path, experiment({"service": "kafka", "options": {"base_port": base_port}}))
    assert journal["status"] == "completed"
    endpoint = ",".join(f"127.0.0.1:{base_port + index}" for index in range(3))
    assert seen(journal) == {"configured": endpoint, "lab": endpoint, "alive": [True, True, True], "owned": True}
    assert "The kafka lab has ended" in journal["log"]
    assert supervision.living("kafka") == []
    assert nodes.load("kafka") is None


def test_a_lab_that_runs_is_used_and_left_running(own_state: Path, tmp_path: Path) -> None:
    cluster = lifecycle.up("kafka", {"base_port": free_base_port()})
    try:
        journal = run(tmp_path, experiment({"service": "kafka"}))
        assert seen(journal) == {
            "configured": cluster.endpoint,
            "lab": cluster.endpoint,
            "alive": [True, True, True],
            "owned": False,
        }
        assert nodes.load("kafka") == cluster
        assert all(node.alive for node in cluster.nodes)

        other = {"service": "kafka", "options": {"settings": {"num.io.threads": 2}}}
        refused = run(tmp_path, experiment(other))
        assert refused["status"] == "interrupted"
        assert "a kafka lab runs with another settings" in refused["log"]
        assert refused["run"] == []
        assert nodes.load("kafka") == cluster
    finally:
        lifecycle.down("kafka")


def test_no_lab_is_started_where_the_endpoint_was_overridden(
    own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    journal = run(tmp_path, experiment({"service": "kafka"}))
    assert journal["status"] == "completed"
    assert seen(journal) == {"configured": "kafka.example:9092", "lab": None, "alive": [], "owned": False}
    assert "No kafka lab: kafka_bootstrap_servers is kafka.example:9092" in journal["log"]


def test_what_belongs_to_a_cluster_of_ones_own_is_not_drilled_on_the_lab(
    own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = experiment({"service": "redis", "options": {"base_port": free_base_port(REDIS_OFFSETS)}})
    entry = {"type": "env", "key": "REDIS_HEALER_URL", "default": "http://127.0.0.1:27419"}
    described["configuration"]["redis_healer_url"] = entry
    assert run(tmp_path, described)["status"] == "completed"
    monkeypatch.setenv("REDIS_HEALER_URL", "http://db-1.example")
    refused = run(tmp_path, described)
    assert (refused["status"], refused["run"]) == ("interrupted", [])
    assert "redis_healer_url (REDIS_HEALER_URL) is given, but redis_url (REDIS_URL) is the lab's" in refused["log"]
    assert "Try: give redis_url too; or leave out redis_healer_url to drill the lab." in refused["log"]
    assert supervision.living("redis") == []


def test_a_dry_run_starts_nothing(own_state: Path, tmp_path: Path) -> None:
    journal = run(tmp_path, {**experiment({"service": "kafka"}), "dry": "activities"})
    assert journal["status"] == "completed"
    assert nodes.load("kafka") is None
    assert not (nodes.cluster_dir("kafka") / "node-1.log").exists()


def test_a_lab_that_does_not_start_interrupts_the_run_with_its_error(own_state: Path, tmp_path: Path) -> None:
    options = {"base_port": free_base_port(), "settings": {"log.cleanup.policy": "burn"}}
    journal = run(tmp_path, experiment({"service": "kafka", "options": options}))
    assert journal["status"] == "interrupted"
    assert journal["run"] == []
    assert "the lab cannot be used: node " in journal["log"]
    assert "log.cleanup.policy" in journal["log"]
    assert "Try: correct what it names" in journal["log"]
    assert supervision.living("kafka") == []


def test_when_chaos_is_killed_the_lab_ends(own_state: Path, tmp_path: Path) -> None:
    described = experiment({"service": "kafka", "options": {"base_port": free_base_port()}})
    described["method"][0]["provider"]["func"] = "wait"
    path = tmp_path / "experiment.json"
    path.write_text(json.dumps(described))
    chaos = subprocess.Popen([*RUN, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert chaos.stderr is not None
        assert any("Probe: look" in line for line in chaos.stderr), "the method has not begun"
        assert len(supervision.living("kafka")) == 4
    finally:
        chaos.kill()
        chaos.communicate()
    assert wait_until(lambda: not supervision.living("kafka"), 20), f"left: {supervision.living('kafka')}"
    assert wait_until(lambda: nodes.load("kafka") is None, 20), "the lab is still written down"


def test_ctrl_c_while_the_lab_starts_leaves_nothing(own_state: Path, tmp_path: Path) -> None:
    path = tmp_path / "experiment.json"
    path.write_text(json.dumps(experiment({"service": "kafka", "options": {"base_port": free_base_port()}})))
    chaos = subprocess.Popen([*RUN, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert wait_until(lambda: len(supervision.living("kafka")) == 4, 60, 0.001), "the lab was not started"
    os.killpg(chaos.pid, signal.SIGINT)
    journal, _ = chaos.communicate(timeout=60)
    assert json.loads(journal)["status"] == "interrupted"
    assert supervision.living("kafka") == []
    assert nodes.load("kafka") is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "needs the argument 'service'"),
        ({"service": "mongo"}, "no lab for 'mongo'"),
        ({"service": "kafka", "option": {}}, "no argument 'option'. Try: did you mean options\\?"),
        ({"service": "kafka", "options": {"port": 1}}, "no option 'port'"),
        ({"service": ["kafka"]}, "service is no text"),
        ({"service": "kafka", "options": 5}, "options are no object"),
        ({"service": "kafka", "timeout_s": "soon"}, "timeout_s is 'soon'"),
        ({"service": "kafka", "timeout_s": 10**400}, "timeout_s is 1000"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_by_validation_and_by_the_hook(
    own_state: Path, arguments: dict[str, Any], why: str
) -> None:
    described = experiment(arguments)
    with pytest.raises(InvalidActivity, match=why):
        control.validate_control(described["controls"][0])
    with pytest.raises(InterruptExecution, match=why):
        control.before_experiment_control(described, {}, described, **arguments)
    control.validate_control(experiment({"service": "kafka", "timeout_s": 60})["controls"][0])
    control.validate_control(experiment({"service": "kafka", "timeout_s": "${t}"})["controls"][0])


def test_a_lab_that_this_process_did_not_start_is_not_cleaned_up(own_state: Path) -> None:
    somebody_elses = Cluster("kafka", DEFAULT_ENDPOINT, [])
    nodes.save(somebody_elses)
    control.cleanup_control()
    assert nodes.load("kafka") == somebody_elses
