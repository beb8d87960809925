"""A drill with a real observer of a workload in memory: baseline, phases, watching, the end, and the first error."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.core.judge import Limits
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UnavailableError
from chaosdrills.host.processes import send_signal, wait_until
from chaosdrills.observe.drill import ObservedDrill
from chaosdrills.observe.plan import Plan
from tests.observe.web import serving

QUICK = Parameters(stable_s=0.5, baseline_s=1, watch_s=0.5, slow_s=0.3, gap_s=0.3)
Begin = Callable[..., ObservedDrill]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Starts drills; ends them all."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    drills = []

    def begin_one(parameters: Parameters = QUICK, workload: str = "", **more: Any) -> ObservedDrill:
        timeouts = {name: more.pop(name) for name in list(more) if name.endswith("timeout_s")}
        polls = more.pop("polls", ())
        path = workload or "tests.observe.memory_workload:MemoryWorkload"
        plan = Plan("memory", path, more, 200, Limits(60, 60, 0), parameters, polls=polls, **timeouts)
        drill = ObservedDrill("d1", "it holds", tmp_path, plan)
        drills.append(drill)
        drill.start()
        return drill

    yield begin_one
    for drill in drills:
        drill.close()
        assert not drill._session or not drill._session.alive


def say(text: str) -> None:
    pass


def inject(drill: ObservedDrill) -> None:
    drill.wait_baseline(say)
    drill.mark("fault_begin", "nothing")
    drill.mark("fault_end", "nothing")


def test_a_whole_drill(begin: Begin) -> None:
    drill, told = begin(), []
    assert (drill.observed, drill.over, drill.facts) == (True, False, {"flavour": "memory"})
    assert drill.since_fault_s is None
    drill.wait_baseline(told.append)
    drill.wait_baseline(told.append)
    drill.mark("fault_begin", "nothing")
    drill.mark("fault_end", "nothing")
    drill.enter("wait")
    assert drill.phase == "wait"
    took_s = drill.wait_restored(20, say)
    drill.leave("wait", ended=True)
    drill.end_method()
    judgement = drill.finish(told.append)
    assert took_s == 0
    assert judgement.overall.verdict == "met", judgement.overall.why
    assert drill.over
    assert drill.trouble == ""
    assert [check.name for check in drill.checks if not check.ok] == []
    assert told.count("waiting for 1 s of clean service before anything is injected") == 1
    names = [phase.name for phase in drill.phases()]
    assert names == ["warm up", "baseline", "wait", "watch", "drain and read back", "judge"]
    assert all(phase.begin <= phase.end for phase in drill.phases())
    assert drill.figures()["acked"] > 0, "the last figures stay"


def test_the_load_goes_on_until_the_last_dip_is_over(begin: Begin, tmp_path: Path) -> None:
    """A dip that begins as the method ends is no missing recovery: the end of load must not cut it off."""
    stall = tmp_path / "stall"
    drill = begin(stall=str(stall))
    inject(drill)
    assert drill.wait_restored(20, say) == 0
    stall.touch()
    drill.end_method()
    threading.Timer(2.5, stall.unlink).start()
    judgement = drill.finish(say)
    assert judgement.overall.verdict == "met", judgement.overall.why
    assert judgement.recovery.censored is False
    assert [end is not None for _, end in judgement.as_dict()["outages"]] == [True]


def test_a_service_that_is_not_restored_ends_the_load_all_the_same(begin: Begin, tmp_path: Path) -> None:
    stall = tmp_path / "stall"
    drill, told = begin(stall=str(stall), settle_timeout_s=1, drain_timeout_s=0.2), []
    inject(drill)
    stall.touch()
    assert drill.wait_restored(2, say) is None
    drill.end_method()
    judgement = drill.finish(told.append)
    assert "the service is not restored 1 s later; the load ends all the same" in told
    assert judgement.rto.verdict == "unknown"
    assert judgement.recovery.censored is True


def test_without_a_clean_baseline_nothing_goes_on(begin: Begin) -> None:
    drill = begin(workload="tests.drills.flaky:FlakyWorkload", baseline_timeout_s=1)
    with pytest.raises(UnavailableError, match="no clean baseline within 1 s") as caught:
        drill.wait_baseline(say)
    assert "steady background errors" in caught.value.hint


def test_recovery_is_waited_for_until_endpoints_are_good(begin: Begin, tmp_path: Path) -> None:
    told: list[str] = []
    with serving(tmp_path) as web:
        drill = begin(polls=[{"name": "app", "url": web.url}])
        inject(drill)
        (tmp_path / "bad").touch()
        with pytest.raises(
            UnavailableError, match="but not for its users: the endpoint app is not seen good: status 5"
        ):
            drill.wait_restored(3, told.append)

        def mend(text: str) -> None:
            told.append(text)
            (tmp_path / "bad").unlink()

        assert drill.wait_restored(20, mend) == 0
    said = "the service is restored, 0.0 s after the fault; waiting for its users: the endpoint app is not seen good"
    assert [text.partition(": status")[0] for text in told] == [said, said]


def test_waiting_without_a_fault_is_an_error(begin: Begin) -> None:
    with pytest.raises(UnavailableError, match="no fault was marked"):
        begin().wait_restored(20, say)


def test_a_fault_in_the_background_is_waited_for(begin: Begin) -> None:
    drill = begin()
    drill.wait_baseline(say)
    drill.pending_faults = {"later"}

    def fault() -> None:
        inject(drill)
        drill.leave("later", ended=True)

    threading.Timer(0.5, fault).start()
    assert drill.wait_restored(20, say) == 0


def test_a_fault_in_the_background_that_never_ends_is_waited_for_in_bounds(begin: Begin) -> None:
    drill = begin()
    inject(drill)
    drill.pending_faults = {"for ever"}
    assert drill.wait_restored(0.1, say) is None


def test_the_first_error_is_the_reason(begin: Begin) -> None:
    drill = begin()
    session = drill._session
    assert session is not None
    assert send_signal(session.identity, 9)
    assert wait_until(lambda: not session.alive, 10)
    with pytest.raises(UnavailableError, match="the observer died"):
        drill.mark("fault_begin")
    drill.give_up()
    drill.note_error("something else.")
    drill.note_interruption()
    assert drill.trouble.startswith("the observer died")


def test_a_drill_that_is_given_up_keeps_its_record(begin: Begin) -> None:
    drill = begin()
    inject(drill)
    drill.give_up()
    drill.give_up()
    assert [mark.name for mark in drill.judged().history.marks] == ["fault_begin", "fault_end", "load_end", "drained"]
    assert drill.judged().overall.verdict == "unknown"
    assert drill.trouble == ""


def test_an_interruption_names_its_phase(tmp_path: Path) -> None:
    drill = ObservedDrill("d1", "it holds", tmp_path, Plan("memory", "no:W"))
    drill.enter("wait")
    drill.leave("wait", ended=False)
    drill.enter("heal")
    drill.leave("heal", ended=True)
    drill.note_interruption()
    assert drill.trouble == "the run was interrupted in the phase 'wait'"


def test_an_interrupted_phase_of_the_drills_own(tmp_path: Path) -> None:
    drill = ObservedDrill("d1", "it holds", tmp_path, Plan("memory", "no:W"))
    with pytest.raises(KeyboardInterrupt), drill.during("watch"):
        raise KeyboardInterrupt
    drill.note_interruption()
    assert drill.trouble == "the run was interrupted in the phase 'watch'"
    assert drill.phase == "start"


def test_activities_that_overlap(tmp_path: Path) -> None:
    drill = ObservedDrill("d1", "it holds", tmp_path, Plan("memory", "no:W"))
    drill.enter("in the background")
    drill.enter("wait")
    drill.leave("in the background", ended=True)
    assert drill.phase == "wait"
    drill.leave("wait", ended=True)
    assert drill.phase == "between activities"
    drill.leave("never entered", ended=True)
    assert drill.phases() == [], "without an observer there is no clock"


def test_what_never_began_has_no_figures(tmp_path: Path) -> None:
    drill = ObservedDrill("d1", "it holds", tmp_path, Plan("memory", "no:W"))
    with pytest.raises(UnavailableError, match="the observer does not run"):
        drill.figures()
    assert (drill.observed, drill.over, drill.facts) == (False, False, {})
    drill.close()
