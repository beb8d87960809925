"""Drills on a lab that comes and goes with them, as on a machine that has none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host import nodes
from chaosdrills.host.processes import wait_until
from chaosdrills.lab import supervision
from tests.conftest import free_base_port
from tests.drills.chaos import WAIT, Experiment, Place, Run, control, experiment, with_foreign_fault
from tests.drills.conftest import QUICK

pytestmark = pytest.mark.lab


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place without a lab; afterwards there is none either."""
    place = Place(tmp_path, "", tmp_path / "state")
    monkeypatch.setenv("XDG_STATE_HOME", str(place.state))
    try:
        yield place
        assert no_lab(), f"left running: {supervision.living('kafka')}"
    finally:
        for run in place.runs:
            run.end_all()
        supervision.end("kafka")


def no_lab() -> bool:
    return supervision.living("kafka") == [] and nodes.load("kafka") is None


def on_free_ports(described: Experiment) -> Experiment:
    control(described, "lab")["options"] = {"base_port": free_base_port(), "settings": QUICK}
    return described


def ended(run: Run) -> bool:
    return wait_until(lambda: run.living() == [] and no_lab(), 30)


def test_the_lab_is_started_and_ended_and_the_verdict_comes_last(bare: Place) -> None:
    run = bare.run(on_free_ports(with_foreign_fault()))
    assert run.status == 0, run.log
    assert [line.split(":")[0] for line in run.lines] == ["Verdict", "RTO", "Lost", "Why", "Report"]
    assert run.line("Verdict") == "met"
    assert run.log.rstrip().endswith("The kafka lab has ended")
    assert ended(run)


def test_chaos_that_is_killed_in_mid_fault_leaves_no_lab_and_nothing_to_heal(bare: Place) -> None:
    run = bare.start(on_free_ports(experiment()))
    run.wait_for(f"Action: {WAIT}")
    assert [entry.fault for entry in outstanding()[0]] == ["kill"]
    run.kill()
    assert ended(run), f"left: {run.living()}, {supervision.living('kafka')}"
    assert run.history.end_ns is None
    elsewhere = bare.folder / "elsewhere"
    elsewhere.mkdir()
    healed = bare.drills("heal", folder=elsewhere)
    assert (healed.returncode, healed.stderr) == (0, "")
    assert healed.stdout.startswith("nothing to do: kill -9 of broker ")
    assert bare.drills("heal", folder=elsewhere).stdout == "Nothing to heal.\n"


def test_a_lab_that_does_not_start_is_one_clear_error(bare: Place) -> None:
    described = experiment()
    control(described, "lab")["options"] = {"settings": {"log.cleanup.policy": "burn"}, "base_port": free_base_port()}
    run = bare.run(described)
    assert run.status == 1
    assert "the lab cannot be used: node " in run.log
    assert "Try: correct what it names" in run.log
    assert run.lines == [
        "Verdict: unknown",
        "RTO: not measured",
        "Lost: not known",
        "Why: the run ended before anything was observed; its first error is above",
        "Report: none was written",
    ]
    assert run.journal["node"] == ""
    assert not (run.folder / "journals").exists()
