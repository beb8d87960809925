"""A rolling restart as a drill: met where a start is a part of it, and whole again where Ctrl-C breaks it off."""

import re

import pytest

from chaosdrills.faults.heal_log import outstanding
from tests.drills.chaos import Experiment, Place, action, control, experiment

pytestmark = pytest.mark.lab


def rolling(*brokers: int) -> Experiment:
    described = experiment()
    restart = action(described, "kill the leader")
    restart["name"] = "restart"
    restart["provider"] |= {"func": "restart_brokers", "arguments": {"brokers": list(brokers)}}
    whole = action(described, "wait until the cluster is whole")
    whole["provider"]["arguments"]["timeout_s"] = 60
    described["method"] = [restart, whole]
    control(described)["parameters"]["recovery"] = "healed"
    return described


def test_each_stop_is_a_fault_and_each_start_its_heal(place: Place) -> None:
    run = place.run(rolling(1, 2))
    marks = [(mark.name, mark.label) for mark in run.history.marks]
    expected = []
    for label in (mark[1] for mark in marks if mark[0] == "fault_begin"):
        expected += [("fault_begin", label), ("fault_end", label)]
        expected += [("heal_begin", f"heal of {label}"), ("heal_end", f"heal of {label}")]
    assert marks[:8] == expected, run.log
    assert len(expected) == 8
    done = run.journal["run"][0]
    assert (done["status"], done["output"]["restarted"]) == ("succeeded", 2)
    assert run.summary["loss"]["lost"] == 0
    assert outstanding() == ([], [])


def test_ctrl_c_in_the_middle_leaves_nothing_down(place: Place) -> None:
    run = place.start(rolling())
    run.wait_mark("fault_begin", 120)
    run.interrupt()
    run.end(120)
    assert run.status == 1
    assert run.line("Verdict") == "unknown"
    assert re.match(r"the run was interrupted in the phase 'restart'", run.line("Why"))
    assert run.marks()[:1] == ["fault_begin"]
    assert outstanding() == ([], []), "the rollback has healed it"
    assert [it["status"] for it in run.journal["rollbacks"]] == ["succeeded"]
