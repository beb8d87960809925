"""Every shipped experiment on Feast, run as a user runs it, on real servers; what it says is proven otherwise."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from chaosdrills.core.history import Outcome, by_stream
from chaosdrills.feast.rows import Rows, View
from chaosdrills.feast.workload import SERVED
from tests.drills.chaos import SHORT, WAIT, Experiment, Run, action, control
from tests.lab.redis_nodes import start_lab
from tests.lab.shipped import FULL, Labs, RunIt, about, actual, experiments_of, running
from tests.observe.register_conformance import surely_lost
from tests.redis.test_workload import at_primary

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

EXPERIMENTS = experiments_of("feast")
LOSS, EMPTIED, PARTITIONED = "feast-online-store-loss", "feast-online-store-emptied", "feast-partition"
EMPTIED_S = 15


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    made = Labs(tmp_path_factory.mktemp("experiments"), start_lab)
    yield made
    made.end()


@pytest.fixture
def run(labs: Labs) -> Iterator[RunIt]:
    """Runs an experiment to its end; afterwards nothing of it may be left."""
    described = {**EXPERIMENTS, EMPTIED: _emptied(EXPERIMENTS[LOSS]), PARTITIONED: _partitioned()}
    with running(labs, described, _prepare) as to_its_end:
        yield to_its_end


def _emptied(shipped: Experiment) -> Experiment:
    """The same with a FLUSHALL, after which Feast says PRESENT of whatever it is asked for."""
    described: Experiment = json.loads(json.dumps(shipped))
    described["method"][0]["provider"] |= {"func": "flush_all", "arguments": {"allow": "drill"}}
    action(described, WAIT)["provider"]["arguments"]["timeout_s"] = EMPTIED_S
    return described


def _partitioned() -> Experiment:
    """redis-partition, with features instead of a ledger, which has freshness."""
    described: Experiment = json.loads(json.dumps(experiments_of("redis")["redis-partition"]))
    control(described)["workload"] = control(EXPERIMENTS[LOSS])["workload"]
    hypothesis = described["steady-state-hypothesis"]
    hypothesis["probes"] = [it for it in hypothesis["probes"] if it["provider"]["func"] != "freshness"]
    return described


def _prepare(name: str, described: Experiment) -> None:
    if not FULL:
        arguments = control(described)
        arguments |= {"parameters": dict(SHORT), "baseline_timeout_s": 120, "settle_timeout_s": 5}
        arguments["workload_arguments"]["keep_keys"] = True


def counted(done: Run) -> int:
    """How many acknowledged writes are gone, by a look of our own at the rows that the run has kept; removes them."""
    where = at_primary(done.env["REDIS_URL"]).connection_pool.connection_kwargs
    client = redis.Redis(where["host"], where["port"])
    rows = Rows(done.summary["drill_id"], View())
    kept = {}
    for key in list(client.scan_iter(match="*drill_row*")):
        if (place := rows.place_of(key)) is not None:
            kept[place[0]] = rows.seq_in(place[0], client.hmget(key, list(rows.asked(0)[2:])))
            client.delete(key)
    written = by_stream(done.history.writes)
    acked = {stream: it.select(it.outcome == Outcome.OK) for stream, it in written.items()}
    return sum(surely_lost(it, kept[stream]) if stream in kept else len(it) for stream, it in acked.items())


def test_a_test_here_runs_every_shipped_experiment() -> None:
    source = Path(__file__).read_text()
    assert [name for name in EXPERIMENTS if f'run("{name}")' not in source and f'"{name}"' not in source] == []


def test_online_store_loss(run: RunIt) -> None:
    done = run(LOSS)
    assert done.line("Verdict") == about(EXPERIMENTS[LOSS])["expected"] == "met", done.log
    assert done.status == 0
    assert [check["name"] for check in done.summary["checks"] if not check["ok"]] == []
    assert done.marks() == ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]
    history = done.history
    assert (history.stream_kind, len(history.finals)) == ("register", len(history.streams))
    assert len(history.streams) > 8 * 5, "rows are retired"
    assert 1 < actual(done) < 30, "down-after, an election, and a connection"
    assert 1 < actual(done, "max_unavailable_s") < 60, "what it costs the feature server's users"
    assert (history.header["view"], history.header["by"]) == ("drill_rows", "sentinel")
    if not FULL:
        assert counted(done) == done.summary["loss"]["lost"] == 0


def test_a_store_that_was_emptied_serves_nobody(run: RunIt) -> None:
    done = run(EMPTIED)
    assert done.line("Verdict") != "met", done.log
    objectives = {one["name"]: one for one in done.summary["objectives"]}
    users = objectives["max_unavailable_s"]
    assert (users["verdict"], users["actual"] > EMPTIED_S) == ("unknown", True), "nobody has materialised again"
    assert 0 < actual(done) < 10, "rows that are gone are not read, and those that come are"
    failed = {check["name"] for check in done.summary["checks"] if not check["ok"]}
    assert "nothing was flushed" in failed
    if not FULL:
        assert counted(done) == done.summary["loss"]["lost"] > 0


def test_rows_that_only_a_cut_off_primary_had_are_lost_by_the_exact_number(run: RunIt) -> None:
    done = run(PARTITIONED)
    assert done.line("Verdict") == "missed", done.log
    (served,) = [check["detail"] for check in done.summary["checks"] if check["name"] == SERVED]
    assert not served.endswith("; 0 reads found a row that was not served any more"), "they were read for a while"
    if not FULL:
        assert counted(done) == done.summary["loss"]["lost"] > 1_000
