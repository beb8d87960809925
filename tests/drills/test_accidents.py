"""What happens to drills in mid-run: Ctrl-C, SIGTERM and kill -9 in each phase, kill -9 of the observer, a full disk, a
node that never comes back. Each says what happened, leaves nothing behind, and is never met. On every service.
"""

import contextlib
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host import nodes
from chaosdrills.host.processes import wait_until
from tests.drills.chaos import WAIT, Experiment, Place, Run, action, control, experiment, in_memory, with_foreign_fault
from tests.drills.conftest import LabFor
from tests.drills.services import SERVICES, Service

pytestmark = pytest.mark.lab

UNKNOWN = 2
INTERRUPTED = "the run was interrupted in the phase"


@pytest.fixture(scope="module", params=SERVICES, ids=str)
def lab(lab_for: LabFor, request: pytest.FixtureRequest) -> Iterator[Place]:
    """The lab of each service in turn."""
    with lab_for(request.param) as found:
        yield found


def at_once(service: Service) -> Experiment:
    """It heals without waiting for a recovery."""
    described = experiment(service)
    described["method"].remove(action(described, WAIT))
    return described


def patient(service: Service) -> Experiment:
    """It is no recovery before it has lasted for a while: an accident comes before, however quick a service is."""
    described = experiment(service)
    control(described)["parameters"] |= {"stable_s": 6, "baseline_s": 6, "watch_s": 6}
    return described


def hits_nothing(service: Service) -> Experiment:
    described = experiment(service)
    action(described, service.fault)["provider"]["arguments"] = dict(service.nobody)
    return described


@pytest.fixture(scope="module")
def started(lab: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Drills that break nothing, under way together."""
    place, service = lab.at(tmp_path_factory.mktemp("accidents")), lab.service
    harmless = with_foreign_fault(service=service)
    full = in_memory(with_foreign_fault("nothing", action(experiment(service), WAIT), service=service))
    control(full)["rate_per_s"] = 200
    watched = with_foreign_fault(service=service)
    control(watched)["parameters"]["watch_s"] = 120
    runs = {
        "watch": place.start_beside(watched, "watch"),
        "baseline": place.start_beside(harmless, "baseline"),
        "full disk": place.start_beside(full, "full disk", file_bytes=40_000),
        "hits nothing": place.start(hits_nothing(service), "hits nothing"),
        "not the lab": place.start(experiment(service), "not the lab", env=service.elsewhere(lab.way)),
    }
    yield runs
    for run in runs.values():
        run.end_all()


def never_met(run: Run, why: str) -> None:
    """The end of every drill of this file."""
    assert run.status == 1, run.log
    assert [line.split(":")[0] for line in run.lines] == ["Verdict", "RTO", "Lost", "Why", "Report"]
    assert run.line("Verdict") == "unknown"
    assert run.line("Why").startswith(f"{why}")
    assert "Traceback" not in run.log
    assert run.journal["node"] == ""
    assert wait_until(lambda: run.living() == [], 15), f"left running: {run.living()}"


@pytest.mark.parametrize(
    ("phase", "said"), [("baseline", "waiting for 2 s of clean service"), ("watch", "watching for")]
)
def test_ctrl_c_before_and_after_the_method(started: dict[str, Run], phase: str, said: str) -> None:
    run = started[phase]
    run.wait_for(said)
    interrupted(run, phase)


def test_ctrl_c_while_it_reads_back(place: Place) -> None:
    interrupted(reading_back(place), "drain and read back")


def interrupted(run: Run, phase: str) -> None:
    """Ctrl-C in this phase, and how that ends."""
    run.interrupt()
    run.end(40)
    never_met(run, f"{INTERRUPTED} '{phase}'")
    assert run.journal["status"] == "interrupted"
    assert run.journal["chaosdrills"] == run.summary
    assert run.history.end_ns is None
    assert "load_end" in run.marks(), "the record was closed in good order"


def test_what_was_written_stays_and_that_is_said(started: dict[str, Run]) -> None:
    run = started["watch"]
    run.end(40)
    assert "What the drill wrote stays, as evidence: " in run.log


def reading_back(place: Place) -> Run:
    """A drill that breaks nothing, at its read-back."""
    place.service.fill(place.way)
    run = place.start(with_foreign_fault(service=place.service))
    run.wait_for("reading back: ")
    return run


def test_sigterm_while_it_reads_back(place: Place) -> None:
    run = reading_back(place)
    run.process.terminate()
    run.end(40)
    never_met(run, "aborted by the signal SIGTERM in the phase 'drain and read back'")
    assert run.journal["status"] == "aborted"
    assert "load_end" in run.marks()


def test_chaos_that_is_killed_while_it_reads_back(place: Place) -> None:
    run = reading_back(place)
    run.kill()
    assert wait_until(lambda: run.living() == [], 30), f"left running: {run.living()}"
    assert "Verdict" not in "".join(run.lines)
    assert run.history.end_ns is None, "whatever was read back, nobody has heard of it"
    assert run.place.drills("judge", str(run.drill / "record")).returncode == UNKNOWN


def test_ctrl_c_while_it_judges_and_writes_its_report(place: Place) -> None:
    """It was done by then: it says so, or that it was interrupted, and never half of either."""
    run = place.start(with_foreign_fault(service=place.service))
    assert wait_until(lambda: has_end(run), 120, 0.01), run.log
    run.interrupt()
    run.end(40)
    assert [line.split(":")[0] for line in run.lines] == ["Verdict", "RTO", "Lost", "Why", "Report"]
    assert (run.status, run.line("Verdict")) in ((0, "met"), (1, "unknown")), run.log
    assert run.summary == run.journal["chaosdrills"]
    assert run.summary["verdict"] == run.line("Verdict")
    assert "Traceback" not in run.log
    assert wait_until(lambda: run.living() == [], 15), f"left running: {run.living()}"


def has_end(run: Run) -> bool:
    with contextlib.suppress(Exception):  # a record that is just being made
        return run.history.end_ns is not None
    return False


STEPS = {
    "fault": lambda service: service.fault,
    "heal": lambda service: service.heal,
    "whole": lambda service: service.whole,
}


@pytest.mark.parametrize(
    ("step", "signum"),
    [
        ("fault", signal.SIGTERM),
        ("fault", signal.SIGKILL),
        ("heal", signal.SIGINT),
        ("heal", signal.SIGKILL),
        ("whole", signal.SIGTERM),
        ("whole", signal.SIGINT),
    ],
)
def test_a_signal_in_each_step_of_the_method(place: Place, step: str, signum: int) -> None:
    """Wherever it comes: the record is whole as far as it goes, and one heal from anywhere undoes what is left."""
    run = place.start(at_once(place.service))
    run.wait_for(f"Action: {STEPS[step](place.service)}")
    run.interrupt() if signum == signal.SIGINT else os.kill(run.process.pid, signum)
    run.end(90)
    assert wait_until(lambda: run.living() == [], 30), f"left running: {run.living()}"
    assert run.history.end_ns is None
    assert run.marks()[-2:] == ["load_end", "drained"]
    assert place.drills("judge", str(run.drill / "record")).returncode == UNKNOWN
    if signum == signal.SIGKILL:
        assert (run.status, run.lines) == (-signal.SIGKILL, [])
    else:
        never_met(run, INTERRUPTED if signum == signal.SIGINT else "aborted by the signal SIGTERM in the phase ")
        assert outstanding() == ([], []), "it has healed before it ended"
    healed = place.drills("heal")
    assert healed.returncode == 0, healed.stdout + healed.stderr
    place.service.wait(place.way)
    left_is_told(run)


def left_is_told(run: Run) -> None:
    """What a drill has made and nobody has removed is there as evidence, and its log says so."""
    drill_id, service = str(run.history.header["drill_id"]), run.place.service
    (left,) = [name for name in service.made(run.place.way) if drill_id in name]
    assert f"stays, as evidence: the {service.keeps} {left}" in (run.drill / "observer.log").read_text()


def test_ctrl_c_while_it_warms_up(place: Place) -> None:
    run = place.start(with_foreign_fault(service=place.service))
    assert wait_until(lambda: run.observers() != [], 60, 0.005), f"no observer was started:\n{run.log}"
    run.interrupt()
    run.end(40)
    never_met(run, f"{INTERRUPTED} 'warm up'")
    assert run.line("Report").startswith("none was written; see journals/")


def test_ctrl_c_in_mid_fault_heals_at_once(place: Place) -> None:
    run = place.start(patient(place.service))
    run.wait_for(f"Action: {WAIT}")
    assert [entry.fault for entry in outstanding()[0]] == ["kill"]
    run.interrupt()
    run.end(60)
    never_met(run, f"{INTERRUPTED} '{WAIT}'")
    assert run.marks() == ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]
    assert [it["status"] for it in run.journal["rollbacks"]] == ["succeeded"]


def test_a_second_ctrl_c_leaves_the_heal_to_the_command_and_says_so(place: Place) -> None:
    run = place.start(patient(place.service))
    run.wait_for(f"Action: {WAIT}")
    run.interrupt()
    run.wait_for(f"Action: {place.service.rollback}")
    run.interrupt()
    run.end(60)
    never_met(run, f"{INTERRUPTED} '{WAIT}'")
    assert outstanding()[0] == [] or "is still not healed. Try: run 'chaos drills heal'." in run.log
    healed = place.drills("heal")
    assert healed.returncode == 0, healed.stdout + healed.stderr


def test_an_observer_that_is_killed_in_mid_fault(place: Place) -> None:
    run = place.start(patient(place.service))
    run.wait_for(f"Action: {WAIT}")
    (observer,) = run.observers()
    os.kill(observer, signal.SIGKILL)
    run.end(60)
    never_met(run, "the observer died")
    assert run.marks() == ["fault_begin", "fault_end"]
    assert place.drills("judge", str(run.drill / "record")).returncode == UNKNOWN
    assert run.line("Report").endswith("report.html")


def test_chaos_that_is_killed_in_mid_fault_is_healed_from_anywhere(place: Place, tmp_path: Path) -> None:
    run = place.start(patient(place.service))
    run.wait_for(f"Action: {WAIT}")
    run.kill()
    assert wait_until(lambda: run.living() == [], 30), f"left running: {run.living()}"
    assert run.marks() == ["fault_begin", "fault_end", "load_end", "drained"]
    assert run.history.end_ns is None
    assert place.drills("judge", str(run.drill / "record")).returncode == UNKNOWN
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    healed = place.drills("heal", folder=elsewhere)
    assert (healed.returncode, healed.stderr) == (0, "")
    assert healed.stdout.startswith(f"healed: kill -9 of {place.service.noun} ")
    again = place.drills("heal", folder=elsewhere)
    assert (again.returncode, again.stdout) == (0, "Nothing to heal.\n")


def test_a_node_that_never_comes_back(place: Place) -> None:
    described, service = at_once(place.service), place.service
    action(described, service.whole)["provider"]["arguments"]["timeout_s"] = 3
    whole = nodes.load(service.name)
    assert whole is not None
    argv = {node.id: node.argv for node in whole.nodes}
    _start_with(service, {node_id: ["/nonexistent/server"] for node_id in argv})
    try:
        run = place.run(described)
    finally:
        _start_with(service, argv)
    never_met(run, f"activities: failed: '{service.heal}' (kill -9 of {service.noun} ")
    assert "cannot start /nonexistent/server: No such file or directory" in run.line("Why")
    assert re.search(r"in the report\)$", run.line("Why"))
    assert "is not whole after 3 s: " in run.log
    assert re.search(rf"{service.noun} \d \(.*\) is still not healed. Try: run 'chaos drills heal'.", run.log)
    assert [entry.fault for entry in outstanding()[0]] == ["kill"], "what is not healed is not forgotten"
    healed = place.drills("heal")
    assert healed.returncode == 0, healed.stdout + healed.stderr


def _start_with(service: Service, argv: dict[int, list[str]]) -> None:
    """How the lab's nodes are started from now on."""
    with nodes.changing(service.name):
        cluster = nodes.load(service.name)
        assert cluster is not None
        for node in cluster.nodes:
            node.argv = argv[node.id]
        nodes.save(cluster)


def test_a_full_disk_for_the_record_and_the_report(started: dict[str, Run]) -> None:
    run = started["full disk"]
    run.end(60)
    never_met(run, "cannot write the record record: File too large")
    assert run.line("Report").startswith("none was written")
    assert json.loads((run.drill / "journal.json").read_text())["chaosdrills"]["verdict"] == "unknown"
    assert run.history.end_ns is None


def test_a_fault_on_a_cluster_that_is_not_the_lab_is_refused(started: dict[str, Run]) -> None:
    run, service = started["not the lab"], started["not the lab"].place.service
    run.end(60)
    never_met(run, f"activities: failed: '{service.fault}' (the experiment talks to localhost:")
    assert f", which is not the {service.name} lab at 127.0.0.1:" in run.log
    assert "give the target 'command'" in run.log
    assert "chaosk8s" in run.log
    assert "fault_begin" not in run.marks()


def test_a_fault_that_hits_nothing_is_never_met(started: dict[str, Run]) -> None:
    run, service = started["hits nothing"], started["hits nothing"].place.service
    run.end(60)
    never_met(run, f"activities: failed: '{service.fault}' (the {service.name} lab has no node 9)")
    assert "fault_begin" not in run.marks()
    assert json.loads((run.drill / "journal.json").read_text())["chaosdrills"]["verdict"] == "unknown"
