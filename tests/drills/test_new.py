"""An experiment that `chaos drills new` wrote, run on real brokers."""

import json
from pathlib import Path

import pytest

from tests.drills.chaos import SHORT, Place, control

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def test_what_new_writes_really_runs(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "controller-loss.json"
    options = ["--role", "controller", "--rate", "80", "--partitions", "3", "--rto", "60", "-o", str(path)]
    done = place.drills("new", *options)
    assert done.returncode == 0, done.stderr
    written = json.loads(path.read_bytes())
    control(written).update(
        {"parameters": dict(SHORT), "baseline_timeout_s": 120}
    )  # as the other drills: a busy machine
    run = place.run(written)
    assert run.status == 0, run.log
    summary = run.summary
    assert summary["verdict"] == "met"
    assert summary["environment"]["partitions"] == 3
    assert {it["name"]: it["limit"] for it in summary["objectives"]} == {"rto": 60, "rpo": 900, "max_lost": 0}
