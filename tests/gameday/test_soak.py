"""The soak: a short storm on real brokers, one that is interrupted, and verdicts that must not be met."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from chaosdrills.core.history import NS, Outcome
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.summary import Check
from chaosdrills.faults import heal_log
from chaosdrills.faults.fault import Target
from chaosdrills.gameday import soak
from chaosdrills.gameday.grounds import KAFKA, TIMESCALEDB
from chaosdrills.gameday.storm import plan
from chaosdrills.host.processes import wait_until
from chaosdrills.lab.supervision import living
from chaosdrills.observe.reading import read_record
from chaosdrills.observe.record import RecordWriter
from tests.conftest import POSTGRESQL_OFFSETS, REDIS_OFFSETS, free_base_port
from tests.observe.drills import WHOLE, write_record

DRILLS = Path(sys.executable).with_name("chaosdrills")
GOOD = [Check("storm", True, "all was done")]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


def command(*options: str) -> list[str]:
    return [str(DRILLS), "soak", "--base-port", str(free_base_port()), "--kinds", "kill", *options]


def require_nothing_left(service: str = "kafka") -> None:
    assert heal_log.outstanding() == ([], [])
    assert wait_until(lambda: not living(service), 30), f"left running: {living(service)}"


@pytest.mark.lab
def test_a_short_storm_loses_nothing_and_leaves_nothing(state: Path) -> None:
    done = subprocess.run(
        command("--seconds", "18", "--every", "5", "--seed", "5", "--rate", "150", "--json"),
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    steps = plan(5, 18, 5, (1, 2, 3), ("kill",))
    assert told["plan"] == [json.loads(json.dumps(asdict(step))) for step in steps]
    assert done.stderr.startswith(f"Seed 5: {sum(step.deed == 'fault' for step in steps)} faults (kill) in 18 s.")
    assert (told["verdict"], told["loss"]["lost"], told["loss"]["unexpected"]) == ("met", 0, 0)
    assert told["loss"]["acknowledged"] > 18 * 150 / 2
    assert {check["name"] for check in told["checks"]} >= {
        "storm", "whole", "observer ended", "record", "unexpected", "healed", "processes"
    }  # fmt: skip
    history = read_record(Path(told["folder"]) / "record")
    again = judge(history, Limits(max_lost=0)).as_dict()
    assert again["lost"] == 0
    assert len(history.marks_named("fault_begin")) == len(history.marks_named("fault_end")) == 3
    assert sum(len(final.seqs) for final in history.finals.values()) >= again["acknowledged"]
    assert (Path(told["folder"]) / "report.html").exists()
    require_nothing_left()


@pytest.mark.lab
def test_a_storm_on_postgresql_loses_nothing_and_leaves_nothing(state: Path) -> None:
    port = str(free_base_port(POSTGRESQL_OFFSETS))
    options = ["--service", "timescaledb", "--base-port", port, "--seconds", "20", "--every", "6", "--seed", "7"]
    done = subprocess.run(
        [str(DRILLS), "soak", *options, "--json"], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["plan"] == [json.loads(json.dumps(asdict(step))) for step in plan(7, 20, 6, (1, 2), ("kill", "pause"))]
    assert (told["verdict"], told["loss"]["lost"], told["loss"]["unexpected"]) == ("met", 0, 0)
    assert told["loss"]["acknowledged"] > 1000
    whole = next(check["detail"] for check in told["checks"] if check["name"] == "whole")
    assert whole == "2 servers, 1 synchronous standby"
    require_nothing_left("timescaledb")


@pytest.mark.lab
def test_a_storm_on_redis_loses_nothing_that_both_replicas_confirmed(state: Path) -> None:
    port = str(free_base_port(REDIS_OFFSETS))
    options = ["--service", "redis", "--base-port", port, "--seconds", "30", "--every", "7", "--seed", "7"]
    done = subprocess.run(
        [str(DRILLS), "soak", *options, "--json"], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["verdict"], told["loss"]["lost"], told["loss"]["unexpected"]) == ("met", 0, 0)
    assert told["loss"]["acknowledged"] > 1000
    whole = next(check["detail"] for check in told["checks"] if check["name"] == "whole")
    assert whole == "3 servers, 2 replicas in step, 3 sentinels"
    require_nothing_left("redis")


@pytest.mark.lab
def test_ctrl_c_in_the_storm_leaves_nothing(state: Path) -> None:
    process = subprocess.Popen(
        command("--seconds", "120", "--every", "3", "--seed", "5"), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = ""
        while "kill -9" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        os.killpg(process.pid, signal.SIGINT)
        said += process.communicate(timeout=150)[0]
    finally:
        process.kill()
    assert process.returncode == 130, said
    require_nothing_left()


def concluded(folder: Path, *checks: Check) -> dict[str, object]:
    judgement = judge(read_record(folder / "record"), Limits(max_lost=0))
    return soak._concluded(KAFKA, 5, [], folder, judgement, [*GOOD, *checks, soak._unexpected(judgement)])


def test_what_keeps_a_soak_from_being_met(state: Path, tmp_path: Path) -> None:
    for name, more in (("met", {}), ("lost", {"lost": 3}), ("dead", {"whole": False})):
        (tmp_path / name).mkdir()
        write_record(tmp_path / name / "record", **more)
    assert concluded(tmp_path / "met")["verdict"] == "met"
    assert concluded(tmp_path / "lost")["verdict"] == "missed"
    assert concluded(tmp_path / "dead")["verdict"] == "unknown"
    assert concluded(tmp_path / "met", Check("whole", False, "a broker is missing"))["verdict"] == "unknown"
    assert json.loads((tmp_path / "met" / "summary.json").read_text())["kind"] == "soak"


def test_a_record_that_nobody_wrote_is_not_met(state: Path, tmp_path: Path) -> None:
    writer = RecordWriter.create(
        tmp_path / "record", service="kafka", stream_kind="log", started_at="2026-11-23T08:00:00Z", origin_ns=0
    )
    stream = writer.stream("a")
    for seq in range(100):
        writer.writes(stream, seq, seq * NS // 10, seq * NS // 10 + 1, int(Outcome.OK))
    for name, at_s in WHOLE:
        writer.mark(name, round(at_s * NS))
    writer.final(stream, 40 * NS, np.arange(101))
    writer.end(41 * NS)
    writer.close()
    summary = concluded(tmp_path)
    assert (summary["verdict"], summary["why"]) == ("unknown", ["unexpected: 1 records that nobody wrote"])


def test_what_is_left_behind_is_told(state: Path) -> None:
    assert [check.ok for check in soak._left_behind("kafka", ours=True)] == [True, True]
    heal_log.plan("kill", Target("kafka", "broker 2", "id", {"node": 2, "pid": 1, "start_ticks": 1}))
    healed = soak._left_behind("kafka", ours=False)[0]
    assert (healed.name, healed.ok, healed.detail) == ("healed", False, "left: broker 2")


def test_kinds_are_those_that_this_version_has(state: Path) -> None:
    assert KAFKA.kinds() == ("kill", "stop", "pause")
    assert KAFKA.kinds("isolable") == ("kill", "stop", "pause", "isolate")
    assert TIMESCALEDB.kinds() == TIMESCALEDB.kinds("plain") == ("kill", "pause")
    done = subprocess.run([DRILLS, "soak", "--kinds", "melt"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 64
    assert done.stderr.startswith("Error: there is no fault 'melt' for a storm.")
