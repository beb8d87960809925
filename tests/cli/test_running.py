"""`status`, `note`, `go`, `abort`, where no drill runs, and where what is written down is damaged."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chaosdrills.cli.main import drills
from chaosdrills.faults.node import node_target
from tests.faults import toy
from tests.faults.injector import injecting_process


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "chaosdrills"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(drills, list(arguments))


def test_nothing_runs(state: Path) -> None:
    result = run("status")
    lines = [
        "No drill runs.",
        "Lock: free",
        "Faults: none is outstanding",
        "Lab: kafka: down",
        "Lab: timescaledb: down",
        "Lab: redis: down",
    ]
    assert (result.exit_code, result.stdout.splitlines()) == (0, lines)
    told = json.loads(run("status", "--json").stdout)
    assert (told["drills"], told["lock"], told["faults"], told["problems"]) == ([], None, [], [])
    assert [lab["state"] for lab in told["labs"]] == ["down", "down", "down"]


@pytest.mark.parametrize(
    "arguments", [["go"], ["note", "hello"], ["abort"], ["go", "--drill", "d1", "--json"]], ids=str
)
def test_nobody_to_talk_to(state: Path, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (69, "")
    assert result.stderr == "Error: no drill runs.\nTry: start one: chaos drills run EXPERIMENT.\n"


def test_faults_that_are_outstanding(state: Path, tmp_path: Path) -> None:
    with toy.toy_cluster(tmp_path) as cluster:
        with injecting_process("kill", node_target(cluster, 2, "server 2", "id")) as drill:
            lines = run("status").stdout.splitlines()
            told = json.loads(run("status", "--json").stdout)
        assert lines[1] == f"Lock: held by process {drill.pid} (another drill)"
        assert told["lock"] == {"pid": drill.pid, "drill": "another drill"}
        (fault,) = told["faults"]
        assert (fault["what"], fault["pid"], fault["held"]) == ("kill -9 of server 2", drill.pid, True)
        assert lines[2].endswith(f", of process {drill.pid}, which still runs")
        assert lines[2].startswith("Fault: kill -9 of server 2, since 20")
        left = run("status").stdout.splitlines()
        assert left[1] == "Lock: free"
        assert left[2].endswith(", left behind: run 'chaos drills heal'")


def test_damaged_files_are_named_and_the_rest_is_told(state: Path) -> None:
    for path, content in (
        ("drills/nobody.json", "{}"),
        ("heal/20200101-damaged.json", "{"),
        ("lab/kafka/lab.json", '{"version": 1}'),
        ("faults.lock", "\x00{"),
    ):
        (state / path).parent.mkdir(parents=True, exist_ok=True)
        (state / path).write_text(content)
    result = run("status")
    assert result.exit_code == 69
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("Error: 3 of this cannot be read: ")
    lines = result.stdout.splitlines()
    assert lines[0] == f"Drill: {state}/drills/nobody.json is damaged: its name is not that of a process."
    assert lines[1] == "Lock: free"
    assert lines[2].startswith(f"Fault: the heal log entry {state}/heal/20200101-damaged.json is damaged: ")
    assert lines[3].startswith("Lab: kafka: the lab's state ")
    assert "chaos drills lab down kafka" in lines[3]
    told = run("status", "--json")
    assert (told.exit_code, len(json.loads(told.stdout)["problems"])) == (69, 3)


@pytest.mark.parametrize("command", ["status", "note", "go", "abort", "run", "repeat"])
def test_help_has_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: chaos drills {command}" in result.stdout
