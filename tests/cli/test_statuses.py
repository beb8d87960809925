"""Exit statuses, of the real commands in processes of their own: `chaosdrills ...` and `chaos drills ...` alike."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaosdrills.host.processes import wait_until
from tests.cli import histories

BIN = Path(sys.executable).parent
PROGRAMS = {"chaosdrills": [str(BIN / "chaosdrills")], "chaos drills": [str(BIN / "chaos"), "drills"]}


@pytest.fixture(params=list(PROGRAMS))
def program(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The start of a command line; its state and its folder are temporary."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CHAOSDRILLS_OBJECTIVES", raising=False)
    monkeypatch.chdir(tmp_path)
    return PROGRAMS[request.param]


def run(program: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_0_done(program: list[str], tmp_path: Path) -> None:
    histories.write(tmp_path / "h.jsonl")
    for arguments in (
        ["--help"],
        ["--version"],
        ["judge", "--help"],
        ["judge", "h.jsonl"],
        ["record", "show", "h.jsonl"],
        ["record", "export", "h.jsonl"],
        ["record", "export", "h.jsonl", "-o", "copy.jsonl"],
        ["experiments", "list"],
        ["experiments", "copy", "experiments"],
        ["list"],
        ["new", "-o", "experiments/mine.json"],
        ["completion", "bash"],
        ["heal"],
        ["status"],
        ["lab", "status"],
        ["lab", "down", "kafka"],
    ):
        done = run(program, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments
        assert done.stdout or "-o" in arguments, arguments


def test_1_missed_and_2_unknown(program: list[str], tmp_path: Path) -> None:
    histories.write(tmp_path / "lost.jsonl", lost=3)
    histories.write(tmp_path / "dead.jsonl", ended=False)
    missed, unknown = run(program, "judge", "lost.jsonl"), run(program, "judge", "dead.jsonl")
    assert (missed.returncode, missed.stderr) == (1, "")
    assert missed.stdout.endswith("missed: 3 acknowledged records are lost, 0 are allowed.\n")
    assert (unknown.returncode, unknown.stderr) == (2, "")
    assert unknown.stdout.endswith("unknown: the record has no end: the observer died.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--nonsense"],
        ["nonsense"],
        ["judge"],
        ["judge", "missing"],
        ["judge", "h.jsonl", "extra"],
        ["judge", "h.jsonl", "--rto", "soon"],
        ["judge", "h.jsonl", "--rto", "nan"],
        ["judge", "h.jsonl", "--rpo", "inf"],
        ["judge", "h.jsonl", "--rto", "-1"],
        ["judge", "h.jsonl", "--max-lost", "0.5"],
        ["judge", "h.jsonl", "--stable-s", "0"],
        ["judge", "h.jsonl", "--gap-s", "nan"],
        ["judge", "h.jsonl", "--recovery", "never"],
        ["judge", "bad.jsonl"],
        ["record"],
        ["record", "show", "missing"],
        ["record", "export", "h.jsonl", "-o", "h.jsonl"],
        ["record", "export", "h.jsonl", "-o", "no/such/folder/x"],
        ["preview", "missing.json"],
        ["report", "missing"],
        ["experiments", "copy", "h.jsonl"],
        ["heal", "--service", "nonsense"],
        ["run"],
        ["run", "h.jsonl", "--hold-timeout", "0"],
        ["run", "h.jsonl", "--hold-timeout", "60"],
        ["new", "--role", "id"],
        ["new", "--topic", "bad topic!"],
        ["repeat", "h.jsonl", "-n", "0"],
        ["abort", "--timeout-s", "0"],
        ["note"],
        ["lab", "up", "nonsense"],
        ["lab", "up", "kafka", "--timeout-s", "nan"],
        ["list", "nowhere"],
        ["new", "-o", "h.jsonl"],
        ["new", "--rate", "nan"],
        ["soak", "--seconds", "nan"],
        ["soak", "--kinds", "melt"],
    ],
    ids=" ".join,
)
def test_64_wrong_usage(program: list[str], tmp_path: Path, arguments: list[str]) -> None:
    kept = histories.write(tmp_path / "h.jsonl").read_bytes()
    (tmp_path / "bad.jsonl").write_text('{"kind":"header","version":1}\n')
    done = run(program, *arguments)
    assert done.returncode == 64, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(("Error: ", "Usage: "))
    assert (tmp_path / "h.jsonl").read_bytes() == kept


def test_64_a_relative_state_folder(program: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    done = run(program, "heal")
    assert (done.returncode, done.stderr.splitlines()[0]) == (64, "Error: XDG_STATE_HOME is 'state'.")


def test_64_a_variable_that_the_experiment_does_not_have(program: list[str], tmp_path: Path) -> None:
    run(program, "experiments", "copy", ".")
    done = run(program, "run", "kafka-broker-loss.json", "--var", "rat_per_s:int=1000")
    assert done.returncode == 64
    assert done.stderr == (
        "Error: kafka-broker-loss.json has no rat_per_s in its configuration.\nTry: did you mean rate_per_s?\n"
    )


def test_64_a_variable_of_the_environment_that_is_no_json(
    program: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(program, "experiments", "copy", ".")
    monkeypatch.setenv("REDIS_INJECT", "ssh {host} stop")
    done = run(program, "run", "redis-primary-loss.json")
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("Error: the variable REDIS_INJECT is no JSON: ")


def test_69_something_is_not_available(program: list[str], tmp_path: Path) -> None:
    lab = tmp_path / "state" / "chaosdrills" / "lab" / "kafka"
    lab.mkdir(parents=True)
    (lab / "lab.json").write_text('{"version": 1}')
    done = run(program, "lab", "status")
    assert done.returncode == 69, done.stderr
    assert done.stderr.endswith("Try: run 'chaos drills lab down kafka'.\n")
    assert run(program, "lab", "down", "kafka").returncode == 0
    assert run(program, "lab", "status").returncode == 0


def test_69_no_room_for_the_output(program: list[str], tmp_path: Path) -> None:
    """Neither a verdict nor a fault of ours, and nothing more from Python when it ends."""
    histories.write(tmp_path / "h.jsonl")
    for arguments in (["judge", "h.jsonl"], ["record", "export", "h.jsonl"], ["experiments", "list"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([*program, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        said = "Error: cannot write: No space left on device.\nTry: make room on that disk.\n"
        assert (done.returncode, done.stderr) == (69, said), arguments


BROKEN = """
import sys
import chaosdrills.core.judge
def judge(*arguments): raise KeyError("planted")
chaosdrills.core.judge.judge = judge
{start}
"""
STARTS = {
    "chaosdrills": "from chaosdrills.cli.main import main; main()",
    "chaos drills": "from chaostoolkit.__main__ import cli; sys.argv.insert(1, 'drills'); cli()",
}


@pytest.mark.parametrize("start", list(STARTS))
def test_70_our_own_fault(start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    histories.write(tmp_path / "h.jsonl")
    program = [sys.executable, "-c", BROKEN.format(start=STARTS[start])]
    done = run(program, "judge", "h.jsonl")
    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr.startswith("Error: unexpected KeyError: 'planted'.\nTry: set CHAOSDRILLS_DEBUG=1")
    monkeypatch.setenv("CHAOSDRILLS_DEBUG", "1")
    done = run(program, "judge", "h.jsonl")
    assert done.returncode == 70
    assert done.stderr.startswith("Traceback")


def test_130_interrupted(program: list[str], tmp_path: Path) -> None:
    """Ctrl-C while a command reads a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe")
    writers: list[int] = []

    def being_read() -> bool:
        with contextlib.suppress(OSError):
            writers.append(os.open(tmp_path / "pipe", os.O_WRONLY | os.O_NONBLOCK))
        return bool(writers)

    with subprocess.Popen([*program, "judge", "pipe"], stderr=subprocess.PIPE, text=True) as command:
        try:
            assert wait_until(being_read, 60), "the command does not read"
            command.send_signal(signal.SIGINT)
            _, said = command.communicate(timeout=60)
        finally:
            command.kill()
            for writer in writers:
                os.close(writer)
    assert (command.returncode, said) == (130, "Interrupted.\n")


def unread(program: Sequence[str], *arguments: str) -> tuple[int, str]:
    """Exit status and standard error of a command whose standard output nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([*program, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(writing)
    return done.returncode, done.stderr


def test_a_closed_pipe_changes_no_verdict(program: list[str], tmp_path: Path) -> None:
    histories.write(tmp_path / "met.jsonl")
    histories.write(tmp_path / "lost.jsonl", lost=3)
    histories.write(tmp_path / "dead.jsonl", ended=False)
    for name, status in (("met", 0), ("lost", 1), ("dead", 2)):
        for more in ([], ["--json"]):
            found, said = unread(program, "judge", f"{name}.jsonl", *more)
            assert (found, "Traceback" in said, os.strerror(errno.EPIPE) in said) == (status, False, False), name
    assert unread(program, "record", "export", "met.jsonl") == (69, "")
