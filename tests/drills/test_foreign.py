"""Faults of other extensions, marked by the observe control; faults in the background; drills without a baseline.

Drills that do nothing to a broker are under way together, on a service in memory: their time is spent in waiting.
"""

from collections.abc import Iterator

import pytest

from chaosdrills.host import nodes
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


def paused(lab: Place, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """A broker is stopped for 1.6 s by somebody who knows nothing of drills."""
    monkeypatch.setenv("XDG_STATE_HOME", str(lab.state))
    cluster = nodes.load("kafka")
    assert cluster is not None
    process = cluster.nodes[0].process
    assert process is not None
    fault = {"pid": process.pid, "seconds": 1.6}
    return with_foreign_fault("pause", action(experiment(), WAIT), arguments=fault)


def named() -> Experiment:
    others = foreign("nothing", "another"), action(experiment(), WAIT), foreign("nothing", "its heal")
    described = in_memory(with_foreign_fault("nothing", *others))
    control(described)["faults"], control(described)["heals"] = ["another"], ["its heal"]
    return described


def flaky() -> Experiment:
    described = in_memory(with_foreign_fault(), "tests.drills.flaky:FlakyWorkload")
    control(described)["baseline_timeout_s"] = 5
    return described


def checked_all_along() -> Experiment:
    described = with_foreign_fault("nothing", action(experiment(), WAIT))
    hypothesis = described["steady-state-hypothesis"]
    hypothesis["probes"] = hypothesis["probes"][1:]
    return in_memory(described)


@pytest.fixture(scope="module")
def started(lab: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    place = Place(tmp_path_factory.mktemp("foreign"), lab.endpoint, lab.state)
    with pytest.MonkeyPatch.context() as monkeypatch:
        described = {"pause": paused(lab, monkeypatch)}
    described |= {"fail": in_memory(with_foreign_fault("fail")), "named": named(), "flaky": flaky()}
    described |= {"hits nothing": in_memory(with_foreign_fault("find_nothing"))}
    runs = {name: place.start_beside(one, name) for name, one in described.items()}
    strategy = ("--hypothesis-strategy", "continuously")
    runs["checked all along"] = place.start_beside(checked_all_along(), "checked all along", *strategy)
    before = ("--hypothesis-strategy", "before-method-only")
    runs["checked before only"] = place.start_beside(checked_all_along(), "checked before only", *before)
    yield runs
    for run in runs.values():
        run.end_all()


@pytest.mark.parametrize("ended", ["pause"], indirect=True)
def test_another_extensions_fault_is_marked_and_measured(ended: Run) -> None:
    assert ended.status == 0, ended.log
    marks = [(mark.name, mark.label) for mark in ended.history.marks[:2]]
    assert marks == [("fault_begin", "somebody else's fault"), ("fault_end", "somebody else's fault")]
    begin_ns, end_ns = (mark.at_ns for mark in ended.history.marks[:2])
    assert 1.6e9 <= end_ns - begin_ns < 3e9
    rto = next(it for it in ended.summary["objectives"] if it["name"] == "rto")
    assert rto["actual"] >= 0.5, "a leader was stopped for 1.6 s"


@pytest.mark.parametrize("ended", ["fail"], indirect=True)
def test_a_foreign_fault_that_fails_has_no_end_and_is_never_met(ended: Run) -> None:
    assert ended.status == 1
    assert ended.marks() == ["fault_begin", "load_end", "drained"]
    assert ended.line("Verdict") == "unknown"
    why = 'activities: failed: "somebody else\'s fault" (RuntimeError: the cloud says no)'
    assert ended.line("Why").startswith(why)


@pytest.mark.parametrize("ended", ["named"], indirect=True)
def test_what_is_named_is_marked_and_nothing_else(ended: Run) -> None:
    assert ended.status == 0, ended.log
    assert [(mark.name, mark.label) for mark in ended.history.marks[:4]] == [
        ("fault_begin", "another"),
        ("fault_end", "another"),
        ("heal_begin", "its heal"),
        ("heal_end", "its heal"),
    ]


@pytest.mark.parametrize("ended", ["hits nothing"], indirect=True)
def test_a_foreign_fault_that_hit_nothing_is_never_met(ended: Run) -> None:
    assert ended.status == 1
    assert ended.marks() == ["fault_begin", "load_end", "drained"]
    assert ended.line("Verdict") == "unknown"
    assert ended.line("Why").startswith('the fault "somebody else\'s fault" hit nothing: it returned nothing')


@pytest.mark.parametrize("ended", ["checked all along"], indirect=True)
def test_a_hypothesis_that_is_checked_during_the_method_does_not_end_the_load(ended: Run) -> None:
    assert ended.status == 0, ended.log
    assert ended.line("Verdict") == "met"
    assert len(ended.journal["steady_states"]["during"]) >= 2


@pytest.mark.parametrize("ended", ["checked before only"], indirect=True)
def test_a_drill_without_a_hypothesis_after_it_is_judged_all_the_same(ended: Run) -> None:
    assert ended.status == 0, ended.log
    assert ended.line("Verdict") == "met"
    assert ended.journal["steady_states"]["after"] is None
    assert ended.marks() == ["fault_begin", "fault_end", "load_end", "drained"]


@pytest.mark.parametrize("ended", ["flaky"], indirect=True)
def test_steady_background_errors_give_no_baseline_and_nothing_is_injected(ended: Run) -> None:
    assert ended.status == 1
    assert "the service gave no clean baseline within 5 s" in ended.line("Why")
    assert "Try: look at its errors in observer.log; a service with steady background errors" in ended.log
    assert ended.line("Verdict") == "unknown"
    assert "fault_begin" not in ended.marks()
    assert "Action: somebody else's fault" not in ended.log


def test_a_fault_in_the_background_is_waited_for_and_one_that_is_not_healed_in_time_is_never_met(place: Place) -> None:
    described = experiment()
    described["method"] = described["method"][:2]
    described["method"][0]["background"] = True
    run = place.run(described)
    assert run.status == 1
    assert run.marks() == ["fault_begin", "fault_end", "load_end", "drained"]
    assert {it["activity"]["name"]: it["status"] for it in run.journal["run"]} == {
        "kill the leader": "succeeded",
        WAIT: "succeeded",
    }
    waited = next(it for it in run.journal["run"] if it["activity"]["name"] == WAIT)
    assert waited["duration"] < 40, "it goes on as soon as the fault in the background has been recovered from"
    assert run.line("Verdict") == "unknown"
    assert "was not healed before the data was read back" in run.line("Why")
    assert run.line("RTO").endswith(" s (600 s allowed)")
    assert [it["status"] for it in run.journal["rollbacks"]] == ["succeeded"], "the rollback has healed it"


def test_one_drill_at_a_time(place: Place) -> None:
    """A second drill injects nothing while the first has its fault outstanding, and the first does not notice."""
    go_on = place.folder / "go on"
    fault = with_foreign_fault("wait_for_file", arguments={"path": str(go_on)})
    first = place.start(in_memory(fault), "first")
    first.wait_mark("fault_begin")
    second = place.run(in_memory(with_foreign_fault()), "second")
    assert second.status == 1
    assert "another drill has faults outstanding on this machine: process " in second.line("Why")
    assert "Try: wait until it has ended" in second.log
    assert "fault_begin" not in second.marks()
    go_on.touch()
    assert first.end() == 0, first.log
    assert first.line("Verdict") == "met"
