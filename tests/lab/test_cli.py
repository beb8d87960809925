"""The commands, as a user types them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaosdrills.host import nodes
from chaosdrills.host.processes import wait_until
from chaosdrills.lab import supervision
from tests.conftest import OFFSETS, free_base_port

pytestmark = pytest.mark.lab

COMMAND = [sys.executable, "-c", "from chaosdrills.cli.main import main; main()", "lab"]


def run(*arguments: str, status: int = 0) -> str:
    """What the command says on standard output; on standard error if it is to fail."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=200)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr if status else done.stdout


def test_up_status_up_down(own_state: Path) -> None:
    base_port = free_base_port()
    endpoint = ",".join(f"127.0.0.1:{base_port + index}" for index in range(3))
    assert f"The kafka lab runs at {endpoint}." in run("up", "kafka", "--base-port", str(base_port))
    pids = [it.pid for it in supervision.living("kafka")]
    assert len(pids) == 3

    shown = run("status")
    assert shown.startswith(f"kafka: running at {endpoint}\n  node 1  running  127.0.0.1:{base_port}  pid ")
    lab, *_ = json.loads(run("status", "--json"))["labs"]
    assert sorted(node["pid"] for node in lab["nodes"]) == sorted(pids)
    assert (lab["owner_pid"], lab["guard_pid"]) == (None, None)

    again = run("up", "kafka")
    assert again.startswith("found the kafka lab that runs\n")
    assert [it.pid for it in supervision.living("kafka")] == pids
    refused = run("up", "kafka", "--set", "num.io.threads=2", status=64)
    assert refused.startswith("Error: a kafka lab runs with another settings")
    assert "Try: run 'chaos drills lab down kafka' first." in refused

    assert run("down") == "The kafka lab has ended.\nThere is no timescaledb lab.\nThere is no redis lab.\n"
    assert supervision.living("kafka") == []
    assert run("down", "kafka") == "There is no kafka lab.\n"
    assert run("status") == "kafka: down\ntimescaledb: down\nredis: down\n"


def test_bad_arguments_are_usage_errors(own_state: Path) -> None:
    assert "choose one of kafka, timescaledb, redis" in run("up", "nats", status=64)
    assert "choose one of kafka, timescaledb, redis" in run("down", "nats", status=64)
    assert "--set 'x' is not NAME=VALUE" in run("up", "kafka", "--set", "x", status=64)
    assert "80 is not a port" in run("up", "kafka", "--base-port", "80", status=64)


@pytest.mark.parametrize("moment", ["nodes", "guard"])
def test_ctrl_c_in_the_middle_of_a_start_leaves_nothing(own_state: Path, moment: str) -> None:
    enough = {"guard": 1, "nodes": 4}[moment]
    process = subprocess.Popen(
        [*COMMAND, "up", "kafka", "--base-port", str(free_base_port())],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert wait_until(lambda: len(supervision.living("kafka")) >= enough, 60, 0.001), "nothing was started"
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "Interrupted.\n")
    assert supervision.living("kafka") == []
    assert nodes.load("kafka") is None


def test_a_failed_start_says_why_and_ends_with_69(own_state: Path) -> None:
    said = run("up", "kafka", "--base-port", str(free_base_port()), "--set", "log.cleanup.policy=burn", status=69)
    assert "log.cleanup.policy" in said
    assert "\nTry: " in said
    assert supervision.living("kafka") == []


def test_the_network_of_a_lab_is_chosen_and_shown(own_state: Path) -> None:
    assert "there is no network 'wireless'" in run("up", "kafka", "--network", "wireless", status=64)
    base_port = free_base_port(OFFSETS)
    run("up", "kafka", "--base-port", str(base_port), "--network", "proxied")
    assert len(supervision.living("kafka")) == 4
    lab, *_ = json.loads(run("status", "--json"))["labs"]
    assert (lab["state"], lab["network"], lab["in_force"]) == ("running", "proxied", [])
    assert f"  network: proxied (pid {lab['proxy_pid']})\n" in run("status")
    assert run("up", "kafka", "--network", "isolable").startswith("found the kafka lab that runs\n")
    assert "another network: proxied, not plain" in run("up", "kafka", "--network", "plain", status=64)
    os.kill(lab["proxy_pid"], signal.SIGKILL)
    assert wait_until(lambda: "kafka: damaged" in run("status"), 10)
    assert run("down", "kafka") == "The kafka lab has ended.\n"
    assert supervision.living("kafka") == []
