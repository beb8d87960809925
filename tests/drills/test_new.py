"""Experiments that `chaos drills new` wrote, run on real servers."""

import json
from pathlib import Path

import pytest

from chaosdrills.host.nodes import Cluster
from tests.drills.chaos import SHORT, Place, control
from tests.timescaledb.servers import settings

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


def test_what_new_writes_for_postgresql_really_runs(timescaledb_lab: Cluster, state_home: Path, tmp_path: Path) -> None:
    place = Place(tmp_path, "", state_home)
    options = ["--service", "timescaledb", "--fault", "kill", "--argument", "what=postmaster", "--connections", "2"]
    done = place.drills("new", *options, "--rto", "60", "-o", "crash.json")
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "crash.json").read_bytes())
    control(written).update({"parameters": dict(SHORT), "baseline_timeout_s": 120})
    run = place.run(written, env={name.upper(): value for name, value in settings(timescaledb_lab).items()})
    assert run.status == 0, run.log
    summary = run.summary
    assert summary["verdict"] == "met"
    assert summary["environment"]["connections"] == 2
    limits = {it["name"]: it["limit"] for it in summary["objectives"]}
    assert limits == {"rto": 60, "rpo": 86_400, "max_lost": 0, "max_unavailable_s": 60}
