"""`chaos drills preview`: what it says of a lab, of a lab to come, and of another cluster; and that it does nothing."""

import json
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.cli.experiments import shipped
from chaosdrills.faults.heal_log import plan, remove
from chaosdrills.faults.node import node_target
from chaosdrills.host import nodes
from chaosdrills.host.processes import send_signal, wait_gone
from chaosdrills.kafka.client import Admin, Connection
from chaosdrills.kafka.health import wait_whole
from tests.drills.chaos import Experiment, Place, action, control, experiment, foreign, in_memory, with_foreign_fault
from tests.faults.commands import argvs
from tests.faults.test_lock import HOLDER

pytestmark = pytest.mark.lab

SECRET = "never-to-be-seen"


def previewed(place: Place, described: Experiment, *options: str, **env: str) -> "subprocess.CompletedProcess[str]":
    path = place.folder / f"{uuid.uuid4().hex}.json"
    path.write_text(json.dumps(described))
    return place.drills("preview", str(path), *options, env=env)


def shown(place: Place, described: Experiment, *options: str, **env: str) -> dict[str, Any]:
    """The JSON, of one that nothing stands in the way of."""
    done = previewed(place, described, "--json", *options, **env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "kafka/node" not in str(path)}


def given(described: Experiment, **arguments: Any) -> Experiment:
    action(described, "kill the leader")["provider"]["arguments"] = arguments
    return described


@pytest.fixture
def topic(place: Place) -> Iterator[tuple[str, int]]:
    """A topic, and the broker that leads it."""
    name, admin = f"t-{uuid.uuid4().hex[:8]}", Admin(Connection(place.endpoint))
    admin.create_topic(name, 1, 3, {}, 30)
    wait_whole(Connection(place.endpoint), (1, 2, 3), 60)
    leader = admin.view(5).topics[name][0].leader
    assert leader is not None
    yield name, leader
    admin.delete_topic(name, 30)


def test_of_a_lab_that_will_be_started(tmp_path: Path) -> None:
    bare = Place(tmp_path, "", tmp_path / "state")
    done = previewed(bare, json.loads(shipped()["kafka-broker-loss.json"]))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Kafka recovers by itself from the loss of a partition's leader",
        "Cluster: 127.0.0.1:29092,127.0.0.1:29093,127.0.0.1:29094, a lab that will be started; 3 brokers",
        "Degraded already: no",
        "Fault: kill the leader (kill_broker)",
        "  hits the leader of partition 0 of the drill's own topic: one of brokers 1, 2, 3, as it is then; "
        "by SIGKILL on the lab",
        "  bounds: nodes of the lab and nothing else",
        "Heal: start the broker again (method): undoes every fault on brokers that is outstanding",
        "Heal: start every killed broker (rollbacks): undoes every fault on brokers that is outstanding",
        "Rollbacks: always",
        "Lock: free; held from before the first look until all is healed",
        "Not healed yet: nothing",
    ]
    assert nodes.load("kafka") is None or not files(bare.state)


def test_of_the_lab_that_runs_with_the_very_process(place: Place, topic: tuple[str, int]) -> None:
    name, leader = topic
    before = files(place.state)
    found = shown(place, given(experiment(topic=name), role="leader"))
    cluster = nodes.load("kafka")
    assert cluster is not None
    node = cluster.node(leader)
    assert node.process is not None
    assert found["cluster"] == {
        "endpoint": place.endpoint,
        "kind": "the lab, which runs",
        "brokers": 3,
        "degraded": "",
    }
    assert found["faults"] == [
        {
            "name": "kill the leader",
            "means": "kill_broker",
            "hits": [
                {
                    "broker": leader,
                    "address": node.endpoint,
                    "why": f"leader of {name}/0",
                    "by": f"SIGKILL to process {node.process.pid} (node {leader} of the lab)",
                    "heal": f"node {leader} of the lab is started",
                    "check": "",
                }
            ],
            "then": "",
            "bounds": ["nodes of the lab and nothing else"],
            "refused": "",
            "later": False,
        }
    ]
    assert (found["rollbacks"], found["lock"], found["outstanding"]) == ({"strategy": "always", "safe": True}, "", [])
    assert files(place.state) == before, "a preview changes nothing"
    assert node.alive


def test_of_commands_elsewhere_word_for_word_and_of_what_would_be_refused(place: Place, topic: tuple[str, int]) -> None:
    name, leader = topic
    there = place.endpoint.replace("127.0.0.1", "localhost")
    by = {"target": "command", **argvs("kafka", "kill"), "timeout_s": 5}
    by["inject"] = ["ssh", "{host}:{port}", "kill kafka@{broker}"]
    found = shown(place, given(experiment(topic=name), **by), KAFKA_BOOTSTRAP_SERVERS=there)
    assert found["cluster"]["kind"] == "a cluster that is not the lab"
    [fault] = found["faults"]
    [hit] = fault["hits"]
    cluster = nodes.load("kafka")
    assert cluster is not None
    address = cluster.node(leader).endpoint
    assert (hit["broker"], hit["address"], hit["why"]) == (leader, address, f"leader of {name}/0")
    assert hit["by"] == f"ssh {address} 'kill kafka@{leader}'"
    assert hit["heal"] == shlex.join([*argvs("kafka", "kill")["heal"][:-1], str(leader)])
    bounds = ["at most 1 broker (max_targets)", "no degraded cluster", "5 s for each command (timeout_s)"]
    assert fault["bounds"] == bounds

    both = given(experiment(topic=name), role="followers", **by)
    refused = previewed(place, both, KAFKA_BOOTSTRAP_SERVERS=there)
    assert refused.returncode == 64, refused.stdout
    assert "  would be refused: the role 'followers' of " in refused.stdout
    assert "means 2 brokers" in refused.stderr
    assert "Try: give max_targets 2 if that is wanted" in refused.stderr
    both = given(experiment(topic=name), role="followers", max_targets=2, **by)
    found = shown(place, both, KAFKA_BOOTSTRAP_SERVERS=there)
    assert len(found["faults"][0]["hits"]) == 2

    unknown = given(experiment(), role="leader", **by)
    [fault] = shown(place, unknown, KAFKA_BOOTSTRAP_SERVERS=there)["faults"]
    assert fault["hits"] == []
    assert fault["then"].startswith("the leader of partition 0 of the drill's own topic: one of brokers 1, 2, 3, as it")


def test_what_is_degraded_is_said_and_refused(place: Place, topic: tuple[str, int]) -> None:
    cluster = nodes.load("kafka")
    assert cluster is not None
    process = cluster.node(3).process
    assert process is not None
    there = place.endpoint.replace("127.0.0.1", "localhost")
    by = {"target": "command", **argvs("kafka", "kill"), "role": "id", "broker_id": 1}
    send_signal(process, signal.SIGKILL)
    try:
        assert wait_gone([process], 10) == []
        done = previewed(place, given(experiment(), **by), KAFKA_BOOTSTRAP_SERVERS=there)
        allowed = shown(place, given(experiment(), degraded_ok=True, **by), KAFKA_BOOTSTRAP_SERVERS=there)
    finally:
        nodes.start_node("kafka", 3)
    assert done.returncode == 69, done.stdout
    assert "Degraded already: " in done.stdout
    assert "broker 3" in done.stdout
    assert done.stderr.startswith("Error: the cluster is degraded already (")
    assert "broker 3" in allowed["cluster"]["degraded"]
    assert allowed["faults"][0]["bounds"][1] == "a degraded cluster too (degraded_ok)"


def test_another_drill_and_what_is_not_healed_stand_in_the_way(place: Place) -> None:
    argv = [sys.executable, "-c", HOLDER, "a-drill"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            done = previewed(place, given(experiment(), role="id", broker_id=2))
        finally:
            holder.kill()
    assert done.returncode == 69
    assert f"Lock: process {holder.pid} (a-drill)" in done.stdout
    assert f"Error: another drill holds the lock: process {holder.pid} (a-drill)." in done.stderr
    cluster = nodes.load("kafka")
    assert cluster is not None
    entry = plan("kill", node_target(cluster, 2, "broker 2", "id"))
    try:
        done = previewed(place, given(experiment(), role="id", broker_id=2))
    finally:
        remove(entry)
    assert done.returncode == 69
    assert "Not healed yet: kill -9 of broker 2" in done.stdout
    assert "Try: run 'chaos drills heal'." in done.stderr


def test_of_another_extensions_actions_without_their_secrets(place: Place) -> None:
    described = in_memory(with_foreign_fault("log_in", arguments={"password": "${pass}", "where": "${where}"}))
    program = {
        "type": "process",
        "path": "true",
        "arguments": ["--to", "${where}", "--token", "${token}", f"https://me:{SECRET}@example.org"],
    }
    described["method"].append({"type": "action", "name": "the cloud's", "provider": program})
    described["method"].append(foreign("nothing", "its heal"))
    control(described).update(faults=["somebody else's fault", "the cloud's"], heals=["its heal"])
    described["configuration"] = {"where": {"type": "env", "key": "WHERE", "default": "nowhere"}, "pass": SECRET}
    described["secrets"] = {"cloud": {"token": {"type": "env", "key": "TOKEN"}}}
    del described["runtime"]
    done = previewed(place, described, "--var", "where=here", TOKEN=SECRET)
    assert (done.returncode, done.stderr) == (0, "")
    assert SECRET not in done.stdout
    hits = "  hits what is known to it alone; it is marked by the observe control"
    assert done.stdout.splitlines()[1:] == [
        "Fault: somebody else's fault (another extension's action: tests.drills.foreign.log_in "
        '{"password": "***", "where": "here"})',
        hits,
        "Fault: the cloud's (another extension's action: process true --to here --token '${token}' https://***@example.org)",
        hits,
        "  as things are now: the faults before it may have changed that by then",
        "Heal: its heal (method): another extension's action: tests.drills.foreign.nothing",
        "Heal: start every killed broker (rollbacks): undoes every fault on brokers that is outstanding",
        "Rollbacks: default; a drill that fails or deviates is not healed: set it to 'always'",
        "Lock: free; held from before the first look until all is healed",
        "Not healed yet: nothing",
    ]


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"configuration": {"x": {"type": "env", "key": "NOT_SET_ANYWHERE"}}}, 64, "NOT_SET_ANYWHERE"),
        ({"title": ""}, 64, "cannot be used: experiment requires a title."),
        ({"method": 7}, 64, "is not of an experiment's shape: TypeError"),
    ],
)
def test_an_experiment_that_cannot_be_used(place: Place, change: dict[str, Any], status: int, error: str) -> None:
    done = previewed(place, experiment() | change)
    assert (done.returncode, done.stdout) == (status, "")
    assert error in done.stderr
    assert "Traceback" not in done.stderr


def test_a_variable_that_is_no_json_is_named(place: Place) -> None:
    configuration = {"inject": {"type": "env", "key": "KAFKA_INJECT", "default": "", "env_var_type": "json"}}
    done = previewed(place, experiment() | {"configuration": configuration}, KAFKA_INJECT="ssh broker-1 stop")
    assert (done.returncode, done.stdout) == (64, "")
    assert "Error: the variable KAFKA_INJECT is no JSON: Expecting value" in done.stderr
    assert """Try: write a command as a list: KAFKA_INJECT='["program", "argument", ...]'.""" in done.stderr


def test_a_cluster_that_does_not_answer_and_a_file_that_is_not_there(place: Place) -> None:
    done = previewed(place, experiment(), KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert (done.returncode, done.stdout) == (69, "")
    assert "Error: no Kafka broker answers at 127.0.0.1:1" in done.stderr
    missing = place.drills("preview", "missing.json")
    assert (missing.returncode, missing.stdout) == (64, "")
    assert 'Path "missing.json" does not exist' in missing.stderr
