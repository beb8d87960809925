"""Every shipped experiment on PostgreSQL, run as a user runs it, on real servers; what it says is proven otherwise.

With ``CHAOSDRILLS_FULL=1`` (`make drills`) each runs as it is shipped, on a lab that it starts itself. Otherwise they
have short waits, and share a lab with all that ask for the same options.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaosdrills.cli.experiments import shipped
from chaosdrills.core.history import NS, Outcome
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.host.processes import this_process
from chaosdrills.lab import lifecycle, timescaledb
from tests.conftest import POSTGRESQL_OFFSETS, free_base_port
from tests.drills.chaos import SHORT, Experiment, Place, Run, control

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

FULL = os.environ.get("CHAOSDRILLS_FULL") == "1"
LOST_S = 20
PREFIX = "timescaledb-"
EXPERIMENTS: dict[str, Experiment] = {
    name[:-5]: json.loads(content) for name, content in sorted(shipped().items()) if name.startswith(PREFIX)
}
ONE_FAULT = ["fault_begin", "fault_end", "load_end", "drained"]
HEALED = ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]


class Labs:
    """A lab for each set of options, made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, Place] = {}
        self._ways: dict[Path, dict[str, str]] = {}

    def place(self, described: Experiment) -> Place:
        """Where this experiment runs."""
        options = control(described, "lab").get("options", {})
        key = json.dumps(options, sort_keys=True)
        if key not in self._places:
            folder = self._folder / f"lab-{len(self._places)}"
            folder.mkdir()
            self._places[key] = Place(folder, "", folder / "state")
            self._ways[folder] = {} if FULL else self._start(folder / "state", options)
        return self._places[key]

    def way(self, place: Place) -> dict[str, str]:
        """The environment that leads to the lab of a place; nothing where a run has a lab of its own."""
        return self._ways[place.folder]

    def end(self) -> None:
        """End them all."""
        for place in self._places.values():
            place.drills("lab", "down")

    def _start(self, state: Path, options: dict[str, Any]) -> dict[str, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(state))
            asked = {**options, "base_port": free_base_port(POSTGRESQL_OFFSETS)}
            cluster = lifecycle.up("timescaledb", asked, owner=this_process())
            return {name.upper(): value for name, value in timescaledb.configuration(cluster).items()}


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    made = Labs(tmp_path_factory.mktemp("experiments"))
    yield made
    made.end()


@pytest.fixture
def run(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Run]]:
    """Runs an experiment to its end; afterwards nothing of it may be left."""
    runs: list[Run] = []

    def to_its_end(name: str) -> Run:
        described = json.loads(json.dumps(EXPERIMENTS[name]))
        place = labs.place(described)
        monkeypatch.setenv("XDG_STATE_HOME", str(place.state))
        if not FULL:
            _shorten(described)
        runs.append(place.start(described, name, env=labs.way(place)))
        runs[-1].end(400)
        return runs[-1]

    yield to_its_end
    try:
        for each in runs:
            assert outstanding() == ([], []), "faults were left unhealed"
            assert each.living() == []
    finally:
        for each in runs:
            each.end_all()
            each.place.drills("heal", "--force")


def _shorten(described: Experiment) -> None:
    arguments = control(described)
    arguments["parameters"] = {**SHORT, **arguments.get("parameters", {})}
    arguments["baseline_timeout_s"] = 120
    arguments["workload_arguments"]["keep_schema"] = True
    if "recovery" in arguments["parameters"]:
        described["configuration"]["seconds"] = LOST_S


def held(described: Run, marks: list[str]) -> None:
    """What every whole drill shows, met or missed."""
    name = described.folder.name
    about = next(one for one in EXPERIMENTS[name]["extensions"] if one["name"] == "chaosdrills")
    expected = about["expected"]
    assert described.line("Verdict") == expected, described.log
    assert described.status == (0 if expected == "met" else 1)
    assert described.summary == described.journal["chaosdrills"]
    failed = {check["name"] for check in described.summary["checks"] if not check["ok"]}
    assert failed == (set() if expected == "met" else {"steady state"})
    assert described.marks() == marks
    assert len(described.history.finals) == EXPERIMENTS[name]["configuration"]["connections"]
    if not FULL:
        assert counted(described) == found(described)


def found(described: Run) -> dict[str, int]:
    """What the drill says: acknowledged and lost, and others that survived."""
    loss = described.summary["loss"]
    return {name: loss[name] for name in ("lost", "recovered", "duplicated", "unexpected")}


def counted(described: Run) -> dict[str, int]:
    """The same, by SQL of our own on the ledger that the run has kept."""
    history = described.history
    writes, schema = history.writes, history.header["schema"]
    keys = list(zip(writes.stream.tolist(), writes.seq.tolist(), strict=True))
    acked = {key for key, outcome in zip(keys, writes.outcome.tolist(), strict=True) if outcome == Outcome.OK}
    with psycopg.connect(described.env["TIMESCALEDB_DSN"], target_session_attrs="read-write") as connection:
        rows = connection.execute(f"SELECT stream, seq FROM {schema}.ledger").fetchall()
        connection.execute(f"DROP SCHEMA {schema} CASCADE")
    there = set(rows)
    return {
        "lost": len(acked - there),
        "recovered": len((set(keys) - acked) & there),
        "duplicated": len(rows) - len(there),
        "unexpected": len(there - set(keys)),
    }


def actual(described: Run, objective: str = "rto") -> float:
    """What was measured."""
    value: float = next(one["actual"] for one in described.summary["objectives"] if one["name"] == objective)
    return value


def mark_ns(described: Run, name: str, which: int = 0) -> int:
    """The instant of a mark."""
    return described.history.marks_named(name)[which]


def acks_between(described: Run, begin_ns: int, end_ns: int) -> int:
    """How many writes were acknowledged in this span."""
    writes = described.history.writes
    inside = (writes.completed_ns > begin_ns) & (writes.completed_ns < end_ns)
    return int(((writes.outcome == Outcome.OK) & inside).sum())


RunIt = Callable[[str], Run]


def test_a_test_here_runs_every_shipped_experiment() -> None:
    source = Path(__file__).read_text()
    assert [name for name in EXPERIMENTS if f'run("{name}")' not in source] == []


def test_primary_loss(run: RunIt) -> None:
    done = run("timescaledb-primary-loss")
    held(done, HEALED)
    assert 5 < actual(done) < 60, "what Patroni's ttl costs"
    assert 5 < actual(done, "max_unavailable_s") < 60, "what it costs users of the application"
    log = (done.drill / "observer.log").read_text()
    assert log.count("stream 0 writes to ") == 2, "the observer has found the new primary"


def test_postmaster_crash(run: RunIt) -> None:
    done = run("timescaledb-postmaster-crash")
    held(done, ONE_FAULT)
    assert 0.1 < actual(done) < 20


def test_primary_pause(run: RunIt) -> None:
    done = run("timescaledb-primary-pause")
    held(done, HEALED)
    assert 5 < actual(done) < 60
    assert mark_ns(done, "heal_begin") / NS > actual(done), "it recovered before the old primary woke up"
    assert "no answer for 5 s" in (done.drill / "observer.log").read_text()


def test_switchover(run: RunIt) -> None:
    done = run("timescaledb-switchover")
    held(done, ONE_FAULT)
    assert 0.1 < actual(done) < 20


def test_replica_loss(run: RunIt) -> None:
    done = run("timescaledb-replica-loss")
    held(done, HEALED)
    assert 0.1 < actual(done) < 25, "until Patroni waits for nobody any more"


def test_etcd_loss(run: RunIt) -> None:
    done = run("timescaledb-etcd-loss")
    held(done, HEALED)
    heal_ns = mark_ns(done, "heal_begin")
    assert acks_between(done, heal_ns - 5 * NS, heal_ns) == 0, "writes stop, and do not lie"
    assert actual(done) > (heal_ns - mark_ns(done, "fault_end")) / NS / 4


def test_async_loss(run: RunIt) -> None:
    done = run("timescaledb-async-loss")
    held(done, ["fault_begin", "fault_end"] * 2 + HEALED[2:])
    held_back_s = (mark_ns(done, "fault_begin", 1) - mark_ns(done, "fault_begin")) / NS
    rate = EXPERIMENTS["timescaledb-async-loss"]["configuration"]["rate_per_s"]
    lost = found(done)["lost"]
    assert lost == pytest.approx(held_back_s * rate, rel=0.1)
    assert actual(done, "rpo") == pytest.approx(held_back_s, abs=0.5)
    judged = {one["name"]: one["verdict"] for one in done.summary["objectives"]}
    assert judged == {"rto": "met", "rpo": "met", "max_lost": "missed"}
