"""`chaosdrills run` and `repeat`: `chaos run` with the verdict's exit status, once and several times."""

import json
import os
import signal
from collections.abc import Iterator

import pytest

from chaosdrills.host.processes import wait_until
from tests.drills.chaos import (
    WAIT,
    Experiment,
    Place,
    Run,
    action,
    control,
    experiment,
    foreign,
    in_memory,
    with_foreign_fault,
)

pytestmark = pytest.mark.lab

FIVE = ["Verdict", "RTO", "Lost", "Why", "Report"]
SIGNALS = [it.name for it in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(it) != signal.SIG_IGN]  # nohup
RUN, REPEAT = ("chaosdrills", "run"), ("chaosdrills", "repeat")


def quiet() -> Experiment:
    return in_memory(with_foreign_fault("nothing", action(experiment(), WAIT)))


def failing() -> Experiment:
    return in_memory(with_foreign_fault("fail"))


def lossy() -> Experiment:
    """What is acknowledged is lost: the read-back finds nothing."""
    return in_memory(
        with_foreign_fault("nothing", action(experiment(), WAIT)), "tests.drills.forgetful:ForgetfulWorkload"
    )


@pytest.fixture(scope="module")
def started(lab: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    place = Place(tmp_path_factory.mktemp("run"), lab.endpoint, lab.state)
    invalid = quiet()
    control(invalid)["rate_per_s"] = 0
    unobserved = {"title": "no drill", "description": "-", "method": [foreign("nothing")]}
    blocked = in_memory(with_foreign_fault("sleep", arguments={"seconds": 3000}))
    held = ("--hold", "--hold-timeout", "1", "--var", "partitions:int=6")
    runs = {
        "met": place.start_beside(quiet(), "met", "--journals", "elsewhere", program=RUN),
        "missed": place.start_beside(lossy(), "missed", program=RUN),
        "unknown": place.start_beside(failing(), "unknown", program=RUN),
        "held": place.start_beside(quiet(), "held", *held, program=RUN),
        "invalid": place.start_beside(invalid, "invalid", program=RUN),
        "unobserved": place.start_beside(unobserved, "unobserved", program=RUN),
        "interrupted": place.start_beside(blocked, "interrupted", program=RUN),
        **{name: place.start_beside(blocked, name, program=RUN) for name in SIGNALS},
        "twice": place.start_beside(quiet(), "twice", "-n", "2", program=REPEAT),
        "stopped": place.start_beside(lossy(), "stopped", "-n", "3", "--stop-on-miss", "--json", program=REPEAT),
        "cut short": place.start_beside(blocked, "cut short", "-n", "3", "--json", program=REPEAT),
    }
    yield runs
    for run in runs.values():
        run.end_all()


@pytest.mark.parametrize(("name", "status"), [("met", 0), ("missed", 1), ("unknown", 2), ("held", 2)])
def test_the_status_is_the_verdicts(started: dict[str, Run], name: str, status: int) -> None:
    run = started[name]
    assert run.end() == status, run.log
    assert [line.split(":")[0] for line in run.lines] == FIVE
    assert run.line("Verdict") == ("unknown" if name == "held" else name)
    assert run.living() == []


def test_its_folder_can_be_elsewhere(started: dict[str, Run]) -> None:
    run = started["met"]
    run.end()
    assert run.line("Report").startswith("elsewhere/")
    assert (run.folder / run.line("Report")).is_file()
    assert not (run.folder / "journals").exists()


def test_it_held_as_it_was_told(started: dict[str, Run]) -> None:
    run = started["held"]
    run.end()
    assert run.line("Why").startswith("nobody said go within 1 s")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("invalid", "was not run as a drill"),
        ("unobserved", "it is no drill: it observes nothing, so there is no verdict"),
    ],
)
def test_what_is_no_drill_is_wrong_usage(started: dict[str, Run], name: str, why: str) -> None:
    run = started[name]
    assert run.end() == 64, run.log
    assert why in run.log
    assert "Traceback" not in run.log


def test_ctrl_c_ends_it_cleanly(started: dict[str, Run]) -> None:
    run = started["interrupted"]
    run.wait_for("Action: somebody else's fault")
    run.interrupt()
    assert run.end(60) == 130, run.log
    assert [line.split(":")[0] for line in run.lines] == FIVE
    assert run.line("Why").startswith('the run was interrupted in the phase "somebody else\'s fault"')
    assert wait_until(lambda: run.living() == [], 15)


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_passed_on_and_ends_it_in_good_order(started: dict[str, Run], name: str) -> None:
    run = started[name]
    run.wait_for("Action: somebody else's fault")
    os.kill(run.process.pid, signal.Signals[name])
    assert run.end(90) == 130, run.log
    assert run.line("Verdict") == "unknown"
    assert run.line("Why").startswith(f'aborted by the signal {name} in the phase "somebody else\'s fault"')
    assert "Let's rollback" in run.log
    assert wait_until(lambda: run.living() == [], 15)


def test_several_runs_in_one_table(started: dict[str, Run]) -> None:
    run = started["twice"]
    assert run.end() == 0, run.log
    table = run.lines[run.lines.index("") + 1 :]
    assert table[0].split() == ["run", "verdict", "RTO", "lost", "folder"]
    assert [row.split()[:2] for row in table[1:3]] == [["1", "met"], ["2", "met"]]
    folders = {row.split()[-1] for row in table[1:3]}
    assert len(folders) == 2
    assert all((run.folder / folder / "report.html").is_file() for folder in folders)
    assert table[4:] == [
        "Worst verdict: met (2 met, 0 missed, 0 unknown)",
        "RTO: min 0.000 s, median 0.000 s, max 0.000 s, spread 0.000 s (standard deviation), of 2 of 2 runs",
        "Lost: 0 in 2 of 2 runs",
    ]


def test_it_ends_after_a_miss(started: dict[str, Run]) -> None:
    run = started["stopped"]
    assert run.end() == 1, run.log
    told = json.loads("\n".join(run.lines))
    assert (told["asked"], told["runs"], told["verdict"]) == (3, 1, "missed")
    assert told["ended_early"] == "a run missed its objectives"
    assert told["each"][0]["lost"] > 0
    assert "Verdict: missed" in run.log, "with --json the runs speak on standard error"


def test_ctrl_c_prints_what_there_is(started: dict[str, Run]) -> None:
    run = started["cut short"]
    run.wait_for("Action: somebody else's fault")
    run.interrupt()
    assert run.end(60) == 130, run.log
    told = json.loads("\n".join(run.lines))
    assert (told["asked"], told["runs"], told["verdict"], told["ended_early"]) == (
        3,
        1,
        "unknown",
        "it was interrupted",
    )
    assert told["rto"]["known"] == 0
    assert told["rto"]["not_known"] == 1
    assert told["each"][0]["folder"] is not None
