"""The example of docs/faults.md, really run: its `ssh` is a script that does to a node of the lab what it is told."""

import json
import re
import sys
from pathlib import Path

import pytest

from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host.processes import wait_until
from tests.drills.chaos import REPOSITORY, SHORT, WAIT, Experiment, Place, action, control

pytestmark = pytest.mark.lab

SSH = """#!/bin/bash
# As the hosts of the example would: the last argument is a command of systemctl on a unit kafka@ID.
last="${!#}"
case "$last" in
  "sudo systemctl kill --signal=SIGKILL kafka@"*) deed=kill ;;
  "sudo systemctl start kafka@"*) deed=start ;;
  "systemctl is-active --quiet kafka@"*) exec 3<>"/dev/tcp/127.0.0.1/$((BASE + ${last##*@} - 1))"; exit ;;
  *) echo "not understood: $*"; exit 127 ;;
esac
exec PYTHON -m tests.faults.commands kafka $deed "${last##*@}"
"""


def documented() -> Experiment:
    """The example, with the short waits of these tests."""
    text = (REPOSITORY / "docs" / "faults.md").read_text()
    found: Experiment = next(
        json.loads(block) for block in re.findall(r"```json\n(\{\n.*?)```", text, re.DOTALL) if '"title"' in block
    )
    control(found).update(parameters=dict(SHORT), rate_per_s=80, baseline_timeout_s=120)
    action(found, WAIT)["provider"]["arguments"]["timeout_s"] = 60
    action(found, "kill the leader")["provider"]["arguments"]["timeout_s"] = 100
    return found


@pytest.fixture
def hosts(place: Place) -> dict[str, str]:
    """The environment of somebody who reaches the brokers' hosts over ssh, by names that are not the lab's."""
    folder = place.folder / "bin"
    folder.mkdir()
    base = place.endpoint.partition(",")[0].rpartition(":")[2]
    (folder / "ssh").write_text(SSH.replace("BASE", base).replace("PYTHON", sys.executable))
    (folder / "ssh").chmod(0o755)
    path = f"{folder}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return {"PATH": path, "KAFKA_BOOTSTRAP_SERVERS": place.endpoint.replace("127.0.0.1", "localhost")}


def test_the_documented_drill_of_a_cluster_over_ssh_is_met(place: Place, hosts: dict[str, str]) -> None:
    run = place.run(documented(), env=hosts)
    assert run.status == 0, run.log
    assert run.line("Verdict") == "met"
    assert run.marks() == ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]
    label = run.history.marks[0].label
    assert re.fullmatch(r"kill by command of broker \d \(leader of chaosdrills-\w+/0\)", label)
    killed = run.journal["run"][0]["output"]
    assert killed["output"] == f"kill of node {killed['brokers']} done"
    kept = {path.name.rpartition("-")[2]: path.read_text() for path in (run.drill / "commands").iterdir()}
    assert set(kept) == {"inject.log", "heal.log", "check.log"}
    command = f"'sudo systemctl kill --signal=SIGKILL kafka@{killed['brokers']}'"
    assert f"ssh -o BatchMode=yes 127.0.0.1 {command}" in kept["inject.log"]


def test_what_a_killed_drill_did_over_ssh_is_healed_over_ssh(place: Place, hosts: dict[str, str]) -> None:
    run = place.start(documented(), env=hosts)
    run.wait_for(f"Action: {WAIT}")
    run.kill()
    assert wait_until(lambda: run.living() == [], 30), f"left running: {run.living()}"
    assert [entry.fault for entry in outstanding()[0]] == ["command"]
    without = place.drills("heal", env={"PATH": str(place.folder)})
    assert without.returncode == 69, without.stdout
    assert "failed: kill by command of broker " in without.stdout
    assert "cannot start ssh: No such file or directory." in without.stdout
    elsewhere = place.folder / "elsewhere"
    elsewhere.mkdir()
    healed = place.drills("heal", folder=elsewhere, env=hosts)
    assert (healed.returncode, healed.stderr) == (0, "")
    assert healed.stdout.startswith("healed: kill by command of broker ")


def test_a_heal_that_fails_is_said_and_kept(place: Place, hosts: dict[str, str]) -> None:
    described = documented()
    heal = action(described, "kill the leader")["provider"]["arguments"]["heal"]
    heal[-1] = "sudo reboot {host}"
    action(described, "wait until the cluster is whole")["provider"]["arguments"]["timeout_s"] = 3
    run = place.run(described, env=hosts)
    assert run.status == 1
    assert run.line("Verdict") == "unknown"
    assert "its heal ended with exit status 127; it is not healed. It said: not understood: -o BatchMode=yes" in run.log
    assert "is still not healed. Try: run 'chaos drills heal'." in run.log
    [entry] = outstanding()[0]
    entry.target.handle["heal"][-1] = f"sudo systemctl start kafka@{entry.target.handle['node']}"
    path = place.state / "chaosdrills" / "heal" / f"{entry.id}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target": _as_json(entry.target)}))
    healed = place.drills("heal", env=hosts)
    assert healed.returncode == 0, healed.stdout + healed.stderr


def _as_json(target: object) -> dict[str, object]:
    return {name: getattr(target, name) for name in ("label", "role", "handle")}
