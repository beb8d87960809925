"""`chaos drills heal`, on a toy cluster of real processes."""

import json

import pytest
from click.testing import CliRunner

from chaosdrills.cli.heal import heal
from chaosdrills.errors import UnavailableError
from chaosdrills.faults.node import node_target
from tests.faults import toy
from tests.faults.injector import die_in_mid_fault, injecting_process


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with toy.toy_cluster(tmp_path) as running:
        yield running


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)


def run(*arguments):
    return CliRunner().invoke(heal, arguments)


def target(cluster, node_id):
    return node_target(cluster, node_id, f"server {node_id}", "id")


@pytest.mark.usefixtures("elsewhere")
def test_heals_what_a_killed_drill_left_and_then_has_nothing_to_do(cluster):
    die_in_mid_fault("kill", target(cluster, 2))
    first, second = run(), run()
    assert (first.exit_code, first.output) == (0, "healed: kill -9 of server 2\n")
    assert (second.exit_code, second.output) == (0, "Nothing to heal.\n")
    assert toy.answers(cluster.node(2).endpoint)


@pytest.mark.usefixtures("elsewhere")
def test_as_json(cluster):
    die_in_mid_fault("kill", target(cluster, 2))
    result = run("--json")
    [outcome] = json.loads(result.output)["outcomes"]
    del outcome["id"]
    assert outcome == {"service": "toy", "what": "kill -9 of server 2", "result": "healed", "why": "", "hint": ""}
    assert json.loads(run("--json").output) == {"outcomes": []}


def test_refuses_while_the_drill_runs_and_names_it(cluster):
    with injecting_process("kill", target(cluster, 2)) as drill:
        result = run()
        assert isinstance(result.exception, UnavailableError)
        assert result.exception.exit_status == 69
        assert result.exception.message == "1 of 1 faults are not healed."
        assert result.output == (
            f"refused: kill -9 of server 2: process {drill.pid}, which injected it, still runs\n"
            f"  Try: wait until its drill has healed it, or end process {drill.pid} first; --force heals all the same, "
            "and spoils that drill's figures.\n"
        )
        assert not toy.answers(cluster.node(2).endpoint)
        assert run("--force").output == "healed: kill -9 of server 2\n"
        assert toy.answers(cluster.node(2).endpoint)


def test_a_damaged_entry_does_not_keep_the_others_from_being_healed(cluster, tmp_path):
    die_in_mid_fault("kill", target(cluster, 2))
    damaged = tmp_path / "state" / "chaosdrills" / "heal" / "20200101-damaged.json"
    damaged.write_text("{")
    result = run()
    assert isinstance(result.exception, UnavailableError)
    assert result.exception.message == "1 of 2 faults are not healed."
    assert f"failed: heal log entry {damaged}: it is damaged: " in result.output
    assert "healed: kill -9 of server 2\n" in result.output
    assert toy.answers(cluster.node(2).endpoint)


def test_a_service_that_does_not_exist_is_a_usage_error():
    result = run("--service", "kafak")
    assert result.exit_code == 2
    assert "'kafak' is not one of 'kafka', 'timescaledb', 'redis'" in result.output


def test_of_one_service_only(cluster):
    die_in_mid_fault("kill", target(cluster, 2))
    assert run("--service", "kafka").output == "Nothing to heal.\n"
    assert not toy.answers(cluster.node(2).endpoint)
