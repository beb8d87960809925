"""Every shipped experiment on Redis, run as a user runs it, on real servers; what it says is proven otherwise."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as driver

from chaosdrills.core.history import NS, Outcome, by_stream
from chaosdrills.redis.finding import PRIMARY, Client
from chaosdrills.redis.url import RedisUrl
from tests.drills.chaos import SHORT, Experiment, Run, control
from tests.lab.redis_nodes import start_lab
from tests.lab.shipped import FULL, Labs, RunIt, about, acks_between, actual, experiments_of, mark_ns, running
from tests.observe.register_conformance import surely_lost

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

EXPERIMENTS = experiments_of("redis")
BY_REPLY = "redis-partition-guarded-by-reply"
ONE_FAULT = ["fault_begin", "fault_end", "load_end", "drained"]
HEALED = ["fault_begin", "fault_end", "heal_begin", "heal_end", "load_end", "drained"]


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    made = Labs(tmp_path_factory.mktemp("experiments"), start_lab)
    yield made
    made.end()


@pytest.fixture
def run(labs: Labs) -> Iterator[RunIt]:
    """Runs an experiment to its end; afterwards nothing of it may be left."""
    guarded: Experiment = json.loads(json.dumps(EXPERIMENTS["redis-partition-guarded"]))
    control(guarded)["workload_arguments"]["acknowledgement"] = "reply"
    with running(labs, {**EXPERIMENTS, BY_REPLY: guarded}, _prepare) as to_its_end:
        yield to_its_end


def _prepare(name: str, described: Experiment) -> None:
    if FULL:
        return
    arguments = control(described)
    arguments["parameters"] = {**SHORT, **arguments.get("parameters", {})}
    arguments |= {"baseline_timeout_s": 120, "settle_timeout_s": 5}
    arguments["workload_arguments"]["keep_keys"] = True


def held(described: Run, marks: list[str], expected: str = "", failed: tuple[str, ...] = ()) -> None:
    """What every whole drill shows, met or missed; beside the steady state only these checks have `failed`."""
    expected = expected or about(EXPERIMENTS[described.folder.name])["expected"]
    assert described.line("Verdict") == expected, described.log
    assert described.status == (0 if expected == "met" else 1)
    assert described.summary == described.journal["chaosdrills"]
    found = {check["name"] for check in described.summary["checks"] if not check["ok"]}
    assert found == {*failed, *(() if expected == "met" else ("steady state",))}
    assert described.marks() == marks
    history = described.history
    assert len(history.finals) == len(history.streams)
    if not FULL:
        loss = described.summary["loss"]
        names = ("lost", "recovered", "duplicated", "unexpected")
        assert counted(described) == {name: loss[name] for name in names}


def kept(described: Run) -> dict[str, str]:
    """The keys of the drill that are at the primary now, by redis-py alone; they are removed."""
    session = Client(RedisUrl.of(described.env["REDIS_URL"]), "test").find(PRIMARY, 30, patient=True)
    session.close()
    host, _, port = session.address.rpartition(":")
    client = driver.Redis(host, int(port), decode_responses=True)
    names = list(client.scan_iter(f"chaosdrills:{described.history.header['drill_id']}:*", count=5000))
    values = client.mget(names) if names else []
    if names:
        client.unlink(*names)
    return {name.split(":", 2)[2]: value for name, value in zip(names, values, strict=True)}


def counted(described: Run) -> dict[str, int]:
    """What is lost and what has survived otherwise."""
    history, there = described.history, kept(described)
    if history.stream_kind == "register":
        return counted_registers(described, there)
    writes = history.writes
    keys = [f"l:{stream}:{seq}" for stream, seq in zip(writes.stream.tolist(), writes.seq.tolist(), strict=True)]
    acked = {key for key, outcome in zip(keys, writes.outcome.tolist(), strict=True) if outcome == Outcome.OK}
    found = set(there)
    return {
        "lost": len(acked - found),
        "recovered": len((set(keys) - acked) & found),
        "duplicated": 0,
        "unexpected": len(found - set(keys)),
    }


def counted_registers(described: Run, there: dict[str, str]) -> dict[str, int]:
    """The same of registers: what is newer than the write that is there."""
    written = by_stream(described.history.writes)
    newest = {int(name.rpartition(":")[2]): int(value.split()[0]) for name, value in there.items()}
    acked = {stream: it.select(it.outcome == Outcome.OK) for stream, it in written.items()}
    sure = {stream: seq for stream, seq in newest.items() if stream in acked and seq in acked[stream].seq}
    gone = [len(it) for stream, it in acked.items() if stream not in newest]
    return {
        "lost": sum(gone) + sum(surely_lost(acked[stream], seq) for stream, seq in sure.items()),
        "recovered": len(newest) - len(sure),
        "duplicated": 0,
        "unexpected": sum(seq not in written[stream].seq for stream, seq in newest.items()),
    }


def lost(described: Run) -> int:
    """How many acknowledged writes are gone."""
    found: int = described.summary["loss"]["lost"]
    return found


def window_s(described: Run) -> float:
    """Over how many seconds."""
    return actual(described, "rpo")


def test_a_test_here_runs_every_shipped_experiment() -> None:
    source = Path(__file__).read_text()
    elsewhere = {"redis-restart-storm"}
    assert [name for name in EXPERIMENTS if f'run("{name}")' not in source and name not in elsewhere] == []


def test_primary_loss(run: RunIt) -> None:
    done = run("redis-primary-loss")
    held(done, HEALED)
    assert 1 < actual(done) < 30, "down-after, an election, and a promotion"
    log = (done.drill / "observer.log").read_text()
    assert len(set(re.findall(r"stream 0 writes to (\S+)", log))) == 2, "the observer has found the new primary"


def test_register_loss(run: RunIt) -> None:
    done = run("redis-register-loss")
    held(done, HEALED)
    assert 1 < actual(done) < 30
    assert done.history.stream_kind == "register"
    assert done.summary["loss"]["stale"] is not None


def test_primary_pause(run: RunIt) -> None:
    done = run("redis-primary-pause")
    held(done, HEALED)
    assert 1 < actual(done) < 30
    assert mark_ns(done, "heal_begin") / NS > actual(done), "it recovered before the old primary woke up"
    assert "no answer for 2 s" in (done.drill / "observer.log").read_text()


def test_primary_pause_with_clients_that_stay(run: RunIt) -> None:
    """Only what they wrote there after its waking up is lost."""
    done = run("redis-primary-pause-old-address")
    held(done, HEALED)
    history = done.history
    assert history.streams[-2:] == ("old-0", "old-1")
    woken_ns, writes = mark_ns(done, "heal_begin"), history.writes
    old = (writes.stream >= len(history.streams) - 2) & (writes.outcome == Outcome.OK)
    assert lost(done) == int((old & (writes.completed_ns > woken_ns)).sum())
    assert lost(done) > 100
    assert 3 < window_s(done) < 60


def test_failover(run: RunIt) -> None:
    done = run("redis-failover")
    held(done, ONE_FAULT)
    assert lost(done) > 1000
    assert 3 < window_s(done) < 60


def test_failover_coordinated(run: RunIt) -> None:
    done = run("redis-failover-coordinated")
    held(done, ONE_FAULT)
    assert (actual(done), lost(done)) < (10, 1)


def test_replica_loss(run: RunIt) -> None:
    done = run("redis-replica-loss")
    held(done, HEALED)
    assert actual(done) < 5


def test_quorum_loss(run: RunIt) -> None:
    """Nobody takes over: it lasts for as long as nobody heals."""
    done = run("redis-quorum-loss")
    held(done, ["fault_begin", "fault_end", *HEALED])
    begin_ns, heal_ns = mark_ns(done, "fault_end", 1), mark_ns(done, "heal_begin")
    assert acks_between(done, begin_ns + NS, heal_ns) == 0
    assert (heal_ns - begin_ns) / NS < actual(done) < 60


def test_flushall(run: RunIt) -> None:
    done = run("redis-flushall")
    held(done, ONE_FAULT, failed=("nothing was flushed",))
    history, said = done.history, done.summary["loss"]
    begin_ns, end_ns = mark_ns(done, "fault_begin"), mark_ns(done, "fault_end")
    acked = history.writes.select(history.writes.outcome == Outcome.OK)
    assert said["lost"] >= int((acked.completed_ns < begin_ns).sum()) > 500, "all that there was"
    assert said["lost"] <= int((acked.invoked_ns < end_ns).sum()), "and nothing since"
    detail = next(check["detail"] for check in done.summary["checks"] if check["name"] == "nothing was flushed")
    assert re.match(r"FLUSHALL or FLUSHDB ran on 127\.0\.0\.1:\d+", detail)


def test_partition(run: RunIt) -> None:
    done = run("redis-partition")
    held(done, HEALED)
    begin_ns, heal_ns = mark_ns(done, "fault_end"), mark_ns(done, "heal_begin")
    alone = acks_between(done, begin_ns + NS, heal_ns)
    assert lost(done) >= alone > 2000, "what the cut-off primary acknowledged"
    assert window_s(done) > (heal_ns - begin_ns) / NS - 1, "and what it did until it was demoted"
    assert window_s(done) > 14


def test_partition_guarded(run: RunIt) -> None:
    done = run("redis-partition-guarded")
    held(done, HEALED)
    assert 1 < actual(done) < 30
    assert mark_ns(done, "heal_begin") / NS > actual(done), "it recovered while the cut lasted"
    assert lost(done) == 0
    assert done.summary["loss"]["unknown"] > 0, "what nobody confirmed"


def test_partition_guarded_by_reply(run: RunIt) -> None:
    """Without WAIT the few remain that the primary took before it noticed."""
    done = run(BY_REPLY)
    held(done, HEALED, expected="missed")
    assert 0 < lost(done) < 2500
    assert window_s(done) < 5
