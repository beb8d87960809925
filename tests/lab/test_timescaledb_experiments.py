"""Every shipped experiment on PostgreSQL, run as a user runs it, on real servers; what it says is proven otherwise."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaosdrills.core.history import NS, Outcome, by_stream
from chaosdrills.host.processes import this_process
from chaosdrills.lab import lifecycle, timescaledb
from tests.conftest import POSTGRESQL_OFFSETS, free_base_port
from tests.drills.chaos import SHORT, WAIT, Experiment, Run, action, control
from tests.lab.shipped import FULL, Labs, Reached, RunIt, about, acks_between, actual, experiments_of, mark_ns, running
from tests.observe.register_conformance import surely_lost

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

LOST_S = 20
BEYOND_S = 45  # longer than Patroni's ttl, and a promotion
EXPERIMENTS = experiments_of("timescaledb")
OVERWRITING = "timescaledb-async-loss-register"
BEYOND = "timescaledb-async-loss-beyond"
ONE_FAULT = ["fault_begin", "fault_end", "load_end", "drained"]
HEALED = ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]


def _start(options: dict[str, Any]) -> Reached:
    asked = {**options, "base_port": free_base_port(POSTGRESQL_OFFSETS)}
    cluster = lifecycle.up("timescaledb", asked, owner=this_process())
    return "", {name.upper(): value for name, value in timescaledb.configuration(cluster).items()}


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    made = Labs(tmp_path_factory.mktemp("experiments"), _start)
    yield made
    made.end()


@pytest.fixture
def run(labs: Labs) -> Iterator[RunIt]:
    """Runs an experiment to its end; afterwards nothing of it may be left."""
    shipped = EXPERIMENTS["timescaledb-async-loss"]
    described = {**EXPERIMENTS, OVERWRITING: _overwriting(shipped), BEYOND: _beyond_the_limit(shipped)}
    with running(labs, described, _prepare) as to_its_end:
        yield to_its_end


def _overwriting(shipped: Experiment) -> Experiment:
    """The same with registers, which have no freshness."""
    described: Experiment = json.loads(json.dumps(shipped))
    control(described)["workload_arguments"]["kind"] = "register"
    hypothesis = described["steady-state-hypothesis"]
    hypothesis["probes"] = [it for it in hypothesis["probes"] if it["provider"]["func"] != "freshness"]
    return described


def _beyond_the_limit(shipped: Experiment) -> Experiment:
    """Patroni may promote nobody who lacks 1,000 bytes; the old primary keeps its disk, so that it can lead again."""
    described: Experiment = json.loads(json.dumps(shipped))
    control(described, "lab")["options"]["patroni"]["maximum_lag_on_failover"] = 1000
    action(described, "lose the primary and its disk")["provider"]["func"] = "kill_node"
    action(described, WAIT)["provider"]["arguments"]["timeout_s"] = BEYOND_S
    return described


def _prepare(name: str, described: Experiment) -> None:
    if not FULL:
        _shorten(described)


def _shorten(described: Experiment) -> None:
    arguments = control(described)
    arguments["parameters"] = {**SHORT, **arguments.get("parameters", {})}
    arguments["baseline_timeout_s"] = 120
    arguments["workload_arguments"]["keep_schema"] = True
    if "recovery" in arguments["parameters"]:
        described["configuration"]["seconds"] = LOST_S


def held(described: Run, marks: list[str]) -> None:
    """What every whole drill shows, met or missed."""
    name = described.folder.name.removesuffix("-register")
    expected = about(EXPERIMENTS[name])["expected"]
    assert described.line("Verdict") == expected, described.log
    assert described.status == (0 if expected == "met" else 1)
    assert described.summary == described.journal["chaosdrills"]
    failed = {check["name"] for check in described.summary["checks"] if not check["ok"]}
    assert failed == (set() if expected == "met" else {"steady state"})
    assert described.marks() == marks
    history = described.history
    assert len(history.finals) == len(history.streams)
    if history.stream_kind == "log":
        assert len(history.finals) == EXPERIMENTS[name]["configuration"]["connections"]
    if not FULL:
        assert (counted if history.stream_kind == "log" else counted_registers)(described) == found(described)


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


def counted_registers(described: Run) -> dict[str, int]:
    """The same of registers: what is newer than the row that is there, by SQL of our own."""
    history = described.history
    schema, written = history.header["schema"], by_stream(history.writes)
    with psycopg.connect(described.env["TIMESCALEDB_DSN"], target_session_attrs="read-write") as connection:
        there = dict(connection.execute(f"SELECT key, seq FROM {schema}.register").fetchall())
        connection.execute(f"DROP SCHEMA {schema} CASCADE")
    acked = {stream: it.select(it.outcome == Outcome.OK) for stream, it in written.items()}
    kept = {stream: seq for stream, seq in there.items() if stream in acked and seq in acked[stream].seq}
    gone = [len(it) for stream, it in acked.items() if stream not in there]
    return {
        "lost": sum(gone) + sum(surely_lost(acked[stream], seq) for stream, seq in kept.items()),
        "recovered": len(there) - len(kept),
        "duplicated": 0,
        "unexpected": sum(seq not in written[stream].seq for stream, seq in there.items()),
    }


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


def cut_off(done: Run, reached: bool) -> None:
    """What a drill shows whose primary was cut off; `reached`: not from its clients."""
    held(done, HEALED)
    assert 5 < actual(done) < 60
    begin_ns, heal_ns = mark_ns(done, "fault_end"), mark_ns(done, "heal_begin")
    assert heal_ns / NS > actual(done), "it recovered before the cut was lifted"
    assert acks_between(done, begin_ns + NS, begin_ns + 10 * NS) == 0, "nobody confirms what one server alone has"
    assert {check["name"]: check["ok"] for check in done.summary["checks"]}["one primary at a time"]
    assert ("the database system is shutting down" in (done.drill / "observer.log").read_text()) == reached


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


def test_register_loss(run: RunIt) -> None:
    done = run("timescaledb-register-loss")
    held(done, HEALED)
    assert 5 < actual(done) < 60
    history = done.history
    assert history.stream_kind == "register"
    assert len(history.streams) > 8 * 5, "registers are retired"
    assert done.summary["loss"]["stale"] == 0
    assert len(history.reads) > 500


def test_primary_isolation(run: RunIt) -> None:
    cut_off(run("timescaledb-primary-isolation"), reached=False)


def test_primary_partition(run: RunIt) -> None:
    cut_off(run("timescaledb-primary-partition"), reached=True)


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
    (within,) = [check for check in done.summary["checks"] if check["name"] == "within maximum_lag_on_failover"]
    lacked = int(re.findall(r"lacked ([\d,]+) bytes", within["detail"])[0].replace(",", ""))
    assert 100 * lost < lacked < 1_048_576, "a row costs its payload at least"


def test_async_loss_of_registers(run: RunIt) -> None:
    done = run(OVERWRITING)
    held(done, ["fault_begin", "fault_end"] * 2 + HEALED[2:])
    held_back_s = (mark_ns(done, "fault_begin", 1) - mark_ns(done, "fault_begin")) / NS
    rate = EXPERIMENTS["timescaledb-async-loss"]["configuration"]["rate_per_s"]
    assert found(done)["lost"] == pytest.approx(held_back_s * rate, rel=0.1)
    assert done.summary["loss"]["stale"] > 0, "a row that was there is not, or is older"


def test_nobody_is_promoted_who_lacks_more_than_patroni_allows(run: RunIt) -> None:
    done = run(BEYOND)
    assert (done.line("Verdict"), done.status) == ("unknown", 1), done.log
    assert f"the service was not restored within {BEYOND_S} s" in done.line("Why")
    objectives = {one["name"]: (one["verdict"], one["actual"]) for one in done.summary["objectives"]}
    assert objectives["rto"] == ("unknown", None), "censored by our own heal"
    (within,) = [check for check in done.summary["checks"] if check["name"] == "within maximum_lag_on_failover"]
    assert not within["ok"]
    assert re.match(r"Patroni promoted nobody: every standby lacked [\d,]+ bytes .* 1,000 are", within["detail"])
    assert any("Patroni promoted nobody" in why for why in done.summary["why"])
    assert found(done)["lost"] == 0, "all is there again with the old primary"
    if not FULL:
        assert counted(done) == found(done)
