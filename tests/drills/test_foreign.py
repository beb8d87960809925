"""Faults of other extensions, marked by the observe control; faults in the background; drills without a baseline."""

import pytest

from chaosdrills.host import nodes
from tests.drills.chaos import WAIT, Place, action, control, experiment, foreign, with_foreign_fault

pytestmark = pytest.mark.lab


def wait_recovered() -> dict[str, object]:
    return action(experiment(), WAIT)


def test_another_extensions_fault_is_marked_and_measured(place: Place) -> None:
    cluster = nodes.load("kafka")
    assert cluster is not None
    process = cluster.nodes[0].process
    assert process is not None
    fault = {"pid": process.pid, "seconds": 1.6}
    run = place.run(with_foreign_fault("pause", wait_recovered(), arguments=fault))
    assert run.status == 0, run.log
    marks = [(mark.name, mark.label) for mark in run.history.marks[:2]]
    assert marks == [("fault_begin", "somebody else's fault"), ("fault_end", "somebody else's fault")]
    begin_ns, end_ns = (mark.at_ns for mark in run.history.marks[:2])
    assert 1.6e9 <= end_ns - begin_ns < 3e9
    rto = next(it for it in run.summary["objectives"] if it["name"] == "rto")
    assert 0.5 <= rto["actual"] < 10, "a leader was stopped for 1.6 s"


def test_a_foreign_fault_that_fails_has_no_end_and_is_never_met(place: Place) -> None:
    run = place.run(with_foreign_fault("fail"))
    assert run.status == 1
    assert run.marks() == ["fault_begin", "load_end", "drained"]
    assert run.line("Verdict") == "unknown"
    why = 'activities: failed: "somebody else\'s fault" (RuntimeError: the cloud says no)'
    assert run.line("Why").startswith(why)
    assert run.living() == []


def test_a_fault_that_is_not_named_is_not_marked(place: Place) -> None:
    described = with_foreign_fault("nothing", foreign("nothing", "another"))
    control(described)["faults"] = ["another"]
    run = place.run(described)
    assert [mark.label for mark in run.history.marks[:2]] == ["another", "another"]
    assert run.status == 0, run.log


def test_a_fault_in_the_background_is_waited_for_and_measured(place: Place) -> None:
    described = experiment()
    described["method"][0]["background"] = True
    run = place.run(described)
    assert run.status == 0, run.log
    assert run.line("Verdict") == "met"
    assert run.marks() == ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]
    waited = next(it for it in run.journal["run"] if it["activity"]["name"] == WAIT)
    assert waited["output"]["recovered"] is True
    assert waited["duration"] < 40, "it goes on as soon as the fault in the background has been recovered from"


def test_steady_background_errors_give_no_baseline_and_nothing_is_injected(place: Place) -> None:
    described = with_foreign_fault()
    arguments = control(described)
    arguments |= {"service": "memory", "workload": "tests.drills.flaky:FlakyWorkload", "baseline_timeout_s": 5}
    arguments["workload_arguments"] = {}
    run = place.run(described)
    assert run.status == 1
    assert "the service gave no clean baseline within 5 s" in run.line("Why")
    assert "Try: look at its errors in observer.log; a service with steady background errors" in run.log
    assert run.line("Verdict") == "unknown"
    assert "fault_begin" not in run.marks()
    assert "Action: somebody else's fault" not in run.log


def test_a_drill_whose_fault_is_not_healed_before_the_end_is_never_met(place: Place) -> None:
    described = experiment()
    described["method"] = described["method"][:2]
    run = place.run(described)
    assert run.status == 1
    assert run.line("Verdict") == "unknown"
    assert "was not healed before the data was read back" in run.line("Why")
    assert [it["status"] for it in run.journal["rollbacks"]] == ["succeeded"], "the rollback has healed it"
