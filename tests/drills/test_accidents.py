"""What happens to drills in mid-run: Ctrl-C in each phase, kill -9 of the observer and of chaos, a full disk, a broker
that never comes back. Each says what happened, leaves nothing behind, and is never met.
"""

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

pytestmark = pytest.mark.lab

UNKNOWN = 2
INTERRUPTED = "the run was interrupted in the phase"


def hits_nothing() -> Experiment:
    described = experiment()
    action(described, "kill the leader")["provider"]["arguments"] = {"role": "id", "broker_id": 9}
    return described


def not_the_lab(place: Place) -> dict[str, str]:
    """The same brokers by another name: a cluster of one's own, as far as a lab fault can know."""
    return {"KAFKA_BOOTSTRAP_SERVERS": place.endpoint.replace("127.0.0.1", "localhost")}


@pytest.fixture(scope="module")
def started(lab: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Drills that break nothing, under way together."""
    place = Place(tmp_path_factory.mktemp("accidents"), lab.endpoint, lab.state)
    harmless = with_foreign_fault()
    full = in_memory(with_foreign_fault("nothing", action(experiment(), WAIT)))
    control(full)["rate_per_s"] = 200
    interrupted = {name: place.start_beside(harmless, name) for name in ("watch", "drain and read back", "baseline")}
    runs = {
        **interrupted,
        "full disk": place.start_beside(full, "full disk", file_bytes=40_000),
        "hits nothing": place.start(hits_nothing(), "hits nothing"),
        "not the lab": place.start(experiment(), "not the lab", env=not_the_lab(lab)),
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
    ("phase", "said"),
    [
        ("baseline", "waiting for 2 s of clean service"),
        ("watch", "watching for"),
        ("drain and read back", "reading back: "),
    ],
)
def test_ctrl_c_before_and_after_the_method(started: dict[str, Run], phase: str, said: str) -> None:
    run = started[phase]
    run.wait_for(said)
    run.interrupt()
    run.end(40)
    never_met(run, f"{INTERRUPTED} '{phase}'")
    assert run.journal["status"] == "interrupted"
    assert run.journal["chaosdrills"] == run.summary
    assert run.history.end_ns is None
    assert "load_end" in run.marks(), "the record was closed in good order"


def test_ctrl_c_while_it_warms_up(place: Place) -> None:
    run = place.start(with_foreign_fault())
    assert wait_until(lambda: run.observers() != [], 60, 0.005), f"no observer was started:\n{run.log}"
    run.interrupt()
    run.end(40)
    never_met(run, f"{INTERRUPTED} 'warm up'")
    assert run.line("Report").startswith("none was written; see journals/")


def test_ctrl_c_in_mid_fault_heals_at_once(place: Place) -> None:
    run = place.start(experiment())
    run.wait_for(f"Action: {WAIT}")
    assert [entry.fault for entry in outstanding()[0]] == ["kill"]
    run.interrupt()
    run.end(60)
    never_met(run, f"{INTERRUPTED} '{WAIT}'")
    assert run.marks() == ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]
    assert [it["status"] for it in run.journal["rollbacks"]] == ["succeeded"]


def test_a_second_ctrl_c_leaves_the_heal_to_the_command_and_says_so(place: Place) -> None:
    run = place.start(experiment())
    run.wait_for(f"Action: {WAIT}")
    run.interrupt()
    run.wait_for("Action: start every killed broker")
    run.interrupt()
    run.end(60)
    never_met(run, f"{INTERRUPTED} '{WAIT}'")
    assert outstanding()[0] == [] or "is still not healed. Try: run 'chaos drills heal'." in run.log
    healed = place.drills("heal")
    assert healed.returncode == 0, healed.stdout + healed.stderr


def test_an_observer_that_is_killed_in_mid_fault(place: Place) -> None:
    run = place.start(experiment())
    run.wait_for(f"Action: {WAIT}")
    (observer,) = run.observers()
    os.kill(observer, signal.SIGKILL)
    run.end(60)
    never_met(run, "the observer died")
    assert run.marks() == ["fault_begin", "fault_end"]
    assert place.drills("judge", str(run.drill / "record")).returncode == UNKNOWN
    assert run.line("Report").endswith("report.html")


def test_chaos_that_is_killed_in_mid_fault_is_healed_from_anywhere(place: Place, tmp_path: Path) -> None:
    run = place.start(experiment())
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
    assert healed.stdout.startswith("healed: kill -9 of broker ")
    again = place.drills("heal", folder=elsewhere)
    assert (again.returncode, again.stdout) == (0, "Nothing to heal.\n")


def test_a_broker_that_never_comes_back(place: Place) -> None:
    described = experiment()
    action(described, "wait until the cluster is whole")["provider"]["arguments"]["timeout_s"] = 3
    whole = nodes.load("kafka")
    assert whole is not None
    argv = {node.id: node.argv for node in whole.nodes}
    _start_with({node_id: ["/nonexistent/java"] for node_id in argv})
    try:
        run = place.run(described)
    finally:
        _start_with(argv)
    never_met(run, "activities: failed: 'start the broker again' (kill -9 of broker ")
    assert "cannot start /nonexistent/java: No such file or directory" in run.line("Why")
    assert re.search(r"in the report\)$", run.line("Why"))
    assert "is not whole after 3 s: missing broker" in run.log
    assert re.search(r"broker \d \(leader of .*\) is still not healed. Try: run 'chaos drills heal'.", run.log)
    assert [entry.fault for entry in outstanding()[0]] == ["kill"], "what is not healed is not forgotten"
    healed = place.drills("heal")
    assert healed.returncode == 0, healed.stdout + healed.stderr


def _start_with(argv: dict[int, list[str]]) -> None:
    """How the lab's nodes are started from now on."""
    with nodes.changing("kafka"):
        cluster = nodes.load("kafka")
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
    run = started["not the lab"]
    run.end(60)
    endpoint = run.place.endpoint.replace("127.0.0.1", "localhost")
    never_met(
        run, f"activities: failed: 'kill the leader' (the experiment talks to {endpoint}, which is not the kafka lab"
    )
    assert "give the target 'command'" in run.log
    assert "chaosk8s" in run.log
    assert "fault_begin" not in run.marks()


def test_a_fault_that_hits_nothing_is_never_met(started: dict[str, Run]) -> None:
    run = started["hits nothing"]
    run.end(60)
    never_met(run, "activities: failed: 'kill the leader' (the kafka lab has no node 9)")
    assert "fault_begin" not in run.marks()
    assert json.loads((run.drill / "journal.json").read_text())["chaosdrills"]["verdict"] == "unknown"
