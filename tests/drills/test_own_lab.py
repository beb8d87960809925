"""Drills on a lab that comes and goes with them, as on a machine that has none."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host import nodes
from chaosdrills.host.processes import wait_until
from chaosdrills.lab import supervision
from tests.drills.chaos import WAIT, Experiment, Place, Run, control, experiment, with_foreign_fault
from tests.drills.services import SERVICES, Service

pytestmark = pytest.mark.lab


@pytest.fixture(params=SERVICES, ids=str)
def bare(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place without a lab of each service in turn; afterwards there is none either."""
    place = Place(tmp_path, "", tmp_path / "state", service=request.param)
    monkeypatch.setenv("XDG_STATE_HOME", str(place.state))
    try:
        yield place
        assert no_lab(place), f"left running: {supervision.living(place.service.name)}"
    finally:
        for run in place.runs:
            run.end_all()
        supervision.end(place.service.name)


def no_lab(place: Place) -> bool:
    return supervision.living(place.service.name) == [] and nodes.load(place.service.name) is None


def on_free_ports(service: Service, described: Experiment) -> Experiment:
    control(described, "lab")["options"] = service.options()
    return described


def ended(run: Run) -> bool:
    return wait_until(lambda: run.living() == [] and no_lab(run.place), 30)


def test_the_lab_is_started_and_ended_and_the_verdict_comes_last(bare: Place) -> None:
    run = bare.run(on_free_ports(bare.service, with_foreign_fault(service=bare.service)))
    assert run.status == 0, run.log
    assert [line.split(":")[0] for line in run.lines] == ["Verdict", "RTO", "Lost", "Why", "Report"]
    assert run.line("Verdict") == "met"
    assert run.log.rstrip().endswith(f"The {bare.service.name} lab has ended")
    assert ended(run)


def test_chaos_that_is_killed_in_mid_fault_leaves_no_lab_and_nothing_to_heal(bare: Place) -> None:
    run = bare.start(on_free_ports(bare.service, experiment(bare.service)))
    run.wait_for(f"Action: {WAIT}")
    assert [entry.fault for entry in outstanding()[0]] == ["kill"]
    run.kill()
    assert ended(run), f"left: {run.living()}, {supervision.living(bare.service.name)}"
    assert run.history.end_ns is None
    elsewhere = bare.folder / "elsewhere"
    elsewhere.mkdir()
    healed = bare.drills("heal", folder=elsewhere)
    assert (healed.returncode, healed.stderr) == (0, "")
    assert healed.stdout.startswith(f"nothing to do: kill -9 of {bare.service.noun} ")
    assert bare.drills("heal", folder=elsewhere).stdout == "Nothing to heal.\n"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_while_the_lab_starts_leaves_nothing_of_it(bare: Place, signum: int) -> None:
    run = bare.start(on_free_ports(bare.service, experiment(bare.service)))
    run.wait_for("Lab: starting ")
    run.interrupt() if signum == signal.SIGINT else os.kill(run.process.pid, signum)
    run.end(60)
    assert ended(run), f"left: {run.living()}, {supervision.living(bare.service.name)}"
    assert (run.status, run.lines[:1]) == {signal.SIGKILL: (-signal.SIGKILL, [])}.get(signum, (1, ["Verdict: unknown"]))
    assert outstanding() == ([], [])
    assert not (run.folder / "journals").exists()


def test_a_lab_that_does_not_start_is_one_clear_error(bare: Place) -> None:
    described = experiment(bare.service)
    control(described, "lab")["options"] = {**bare.service.options(), "settings": bare.service.broken}
    run = bare.run(described)
    assert run.status == 1
    assert f"the lab cannot be used: {bare.service.complaint}" in run.log
    assert "Try: correct " in run.log
    assert run.lines == [
        "Verdict: unknown",
        "RTO: not measured",
        "Lost: not known",
        "Why: the run ended before anything was observed; its first error is above",
        "Report: none was written",
    ]
    assert run.journal["node"] == ""
    assert not (run.folder / "journals").exists()
