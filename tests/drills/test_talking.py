"""Drills that are looked at, noted on, held and let go from another terminal; and heals from outside."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.faults.heal_log import outstanding
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

FAULT = "somebody else's fault"
HOLD = {"CHAOSDRILLS_HOLD": "1"}
LONG = "x" * 10_000


def slow() -> Experiment:
    """Long enough in each phase that somebody can say something."""
    described = in_memory(with_foreign_fault("nothing", action(experiment(), WAIT)))
    control(described)["workload_arguments"] = {"slow_read_back_s": 4}
    control(described)["parameters"] |= {"watch_s": 8}
    return described


def quiet() -> Experiment:
    return in_memory(with_foreign_fault("nothing", action(experiment(), WAIT)))


def in_the_background() -> Experiment:
    """Its fault is a background activity, which nothing could hold once the method has begun."""
    fault = foreign("nothing", "a fault behind", background=True)
    described = in_memory(with_foreign_fault("nothing"))
    described["method"] = [fault, foreign("nothing", "an action"), action(experiment(), WAIT)]
    control(described)["heals"] = []
    return described


@pytest.fixture(scope="module")
def started(lab: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    place = Place(tmp_path_factory.mktemp("talking"), lab.endpoint, lab.state)
    runs = {
        "noted": place.start_beside(slow(), "noted", env=HOLD),
        "killed": place.start_beside(quiet(), "killed", env=HOLD),
        "forgotten": place.start_beside(quiet(), "forgotten", env={**HOLD, "CHAOSDRILLS_HOLD_TIMEOUT_S": "1"}),
        "interrupted": place.start_beside(quiet(), "interrupted", env=HOLD),
        "behind": place.start_beside(in_the_background(), "behind", env=HOLD),
        "wrong": place.start_beside(quiet(), "wrong", env={"CHAOSDRILLS_HOLD": "yes"}),
    }
    yield runs
    for run in runs.values():
        run.end_all()


@pytest.fixture(scope="module")
def noted(started: dict[str, Run]) -> Run:
    """Held, let go, and remarked on in each of its phases."""
    run = started["noted"]
    assert wait_until(lambda: bool(run.told()), 60, 0.02), run.log
    assert run.drills("note", "while it begins").returncode == 0
    run.wait_phase("hold")
    assert run.drills("note", "while it\nholds\x1b[31m").returncode == 0
    assert run.drills("note", LONG).returncode == 0
    assert run.drills("note", " \n\t").returncode == 64
    assert run.drills("note", "y" * 20_000).returncode == 64
    held = json.loads(run.drills("status", "--json").stdout)
    (run.folder / "held.json").write_text(json.dumps(held))
    (run.folder / "held.txt").write_text(run.drills("status").stdout)
    assert run.drills("go").returncode == 0
    run.wait_phase("watch")
    assert run.drills("go").returncode == 64
    done = run.drills("note", "while it watches", "--json")
    (run.folder / "note.json").write_text(done.stdout)
    on_disk = [note.text for note in run.history.notes]
    assert on_disk[-1] == "while it watches", "it is on disk when the command returns"
    run.wait_phase("drain and read back")
    assert run.drills("note", "while it reads back").returncode == 0
    run.end(60)
    return run


def test_a_drill_that_was_held_and_noted_on_is_met(noted: Run) -> None:
    assert noted.status == 0, noted.log
    assert noted.line("Verdict") == "met"
    assert noted.living() == []


def test_it_was_held_before_the_fault_and_outside_of_its_figures(noted: Run) -> None:
    phases = {phase["name"]: phase for phase in noted.summary["phases"]}
    assert phases["hold"]["end"] <= phases[FAULT]["begin"]
    begin = next(mark.at_ns for mark in noted.history.marks if mark.name == "fault_begin")
    assert phases["hold"]["end"] <= begin / 1e9
    rto = next(it for it in noted.summary["objectives"] if it["name"] == "rto")
    assert rto["actual"] == 0, "nothing was broken, however long it was held"
    assert f'holding before "{FAULT}", with load going on: ' in noted.log


def test_status_told_that_it_holds(noted: Run) -> None:
    told = json.loads((noted.folder / "held.json").read_text())
    (drill,) = told["drills"]
    assert (drill["phase"], drill["hold"], drill["aborted"], drill["load_over"]) == ("hold", "held", "", False)
    assert drill["since_fault_s"] is None
    assert drill["figures"]["per_s"] > 0, "load goes on"
    assert drill["title"] == noted.journal["experiment"]["title"]
    assert Path(drill["folder"]) == noted.drill
    assert (told["lock"], told["faults"], told["problems"]) == (None, [], [])
    text = (noted.folder / "held.txt").read_text()
    assert re.search(r"phase: hold, for \d+ s\n  holds before its fault: 'chaos drills go' injects it\n", text)
    assert re.search(r"figures: \d+ acks/s, 0 bad/s, no reader\n", text)


def test_remarks_are_in_the_record_the_summary_the_journal_and_the_report(noted: Run) -> None:
    said = ["while it begins", "while it holds [31m", LONG, "while it watches", "while it reads back"]
    assert [note.text for note in noted.history.notes] == said
    assert [note["text"] for note in noted.summary["notes"]] == said
    assert noted.journal["chaosdrills"]["notes"] == noted.summary["notes"]
    instants = [note["at"] for note in noted.summary["notes"]]
    assert instants == sorted(instants)
    assert json.loads((noted.folder / "note.json").read_text())["at_s"] == instants[3]
    for name in ("report.md", "report.html"):
        text = (noted.drill / name).read_text()
        assert all(one in text.replace("\\", "") for one in (*said[:2], said[3], "remark")), name
    shown = json.loads(noted.drills("record", "show", "--json", str(noted.drill)).stdout)
    assert [note["text"] for note in shown["notes"]] == said


def test_remarks_change_no_verdict_and_are_not_exported(noted: Run, tmp_path: Path) -> None:
    exported = tmp_path / "history.jsonl"
    assert noted.drills("record", "export", str(noted.drill), "-o", str(exported)).returncode == 0
    assert "while it" not in exported.read_text()
    limits = ("--rto", "600", "--rpo", "900", "--stable-s", "1.5", "--baseline-s", "2", "--watch-s", "8", "--json")
    with_notes, without = (noted.drills("judge", str(path), *limits) for path in (noted.drill, exported))
    assert with_notes.stdout == without.stdout
    assert with_notes.returncode == without.returncode == 0


def test_a_drill_that_is_killed_while_it_holds_misleads_nobody(started: dict[str, Run]) -> None:
    run = started["killed"]
    run.wait_phase("hold")
    run.kill()
    status = run.drills("status")
    assert (status.returncode, status.stdout.splitlines()[0]) == (0, "No drill runs.")
    assert run.drills("go").returncode == 69
    desks = Path(run.env["XDG_STATE_HOME"]) / "chaosdrills" / "drills"
    assert list(desks.iterdir()) == [], "what it left is taken away"
    assert wait_until(lambda: run.living() == [], 30), f"left running: {run.living()}"
    assert "fault_begin" not in run.marks()


def test_a_hold_that_nobody_ends(started: dict[str, Run]) -> None:
    run = started["forgotten"]
    run.end(60)
    assert run.line("Verdict") == "unknown"
    assert run.line("Why").startswith("nobody said go within 1 s; nothing was injected")
    assert "fault_begin" not in run.marks()
    assert run.living() == []


def test_ctrl_c_while_it_holds(started: dict[str, Run]) -> None:
    run = started["interrupted"]
    run.wait_phase("hold")
    run.interrupt()
    run.end(40)
    assert run.line("Why").startswith("the run was interrupted in the phase 'hold'")
    assert "fault_begin" not in run.marks()
    assert "load_end" in run.marks()
    assert wait_until(lambda: run.living() == [], 15)


def test_a_fault_in_the_background_is_held_before_the_method(started: dict[str, Run]) -> None:
    run = started["behind"]
    run.wait_phase("hold")
    assert "Action: " not in run.log
    assert run.drills("go", "--json").returncode == 0
    assert run.end(90) == 0, run.log
    assert run.marks()[:2] == ["fault_begin", "fault_end"]


def test_a_wrong_wish_to_hold_is_one_clear_error(started: dict[str, Run]) -> None:
    run = started["wrong"]
    run.end(60)
    assert "CHAOSDRILLS_HOLD is 'yes'." in run.log
    assert "Try: set it to 1 to hold before the first fault, or unset it." in run.log
    assert run.lines[0] == "Verdict: unknown"


def test_a_heal_from_outside_is_marked_and_is_no_recovery_by_itself(place: Place) -> None:
    """Two of three brokers are dead, so that nothing comes back by itself; somebody heals them by force."""
    described = experiment()
    kill = action(described, "kill the leader")
    kill["provider"]["arguments"] = {"role": "followers", "partition": 0}
    action(described, WAIT)["provider"]["arguments"]["timeout_s"] = 20
    control(described)["settle_timeout_s"] = 5
    run = place.start(described)
    run.wait_for(f"Action: {WAIT}")
    assert len(outstanding()[0]) == 2
    refused = run.drills("heal")
    assert refused.returncode == 69
    healed = run.drills("heal", "--force")
    assert healed.returncode == 0, healed.stderr
    assert "This heal is marked in the record of the drill " in healed.stdout
    run.end(150)
    marks = run.marks()
    assert marks[:4] == ["fault_begin", "fault_end", "heal_begin", "heal_end"], marks
    assert run.line("Verdict") != "met", run.log
    rto: Any = next(it for it in run.summary["objectives"] if it["name"] == "rto")
    assert rto["actual"] is None, "what was healed from outside has not recovered by itself"
