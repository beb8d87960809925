"""The PostgreSQL workload on real servers: what it records, and what the read-back finds."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from chaosdrills.core.history import NO_SEQ, Outcome
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UnavailableError
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import family_of, send_signal, wait_gone, wait_until
from chaosdrills.lab.postgresql_programs import find_programs
from chaosdrills.observe.payload import Seal, filler
from chaosdrills.timescaledb import actions, probes
from chaosdrills.timescaledb.arguments import Arguments
from chaosdrills.timescaledb.dsn import Dsn
from chaosdrills.timescaledb.finding import Client
from chaosdrills.timescaledb.readback import LedgerReadBack
from tests.timescaledb.conftest import StartDrill
from tests.timescaledb.servers import dsn_of, primary, replica, schemas, session, settings, superuser, wait_whole

pytestmark = pytest.mark.lab


@contextmanager
def paused(node: Node) -> Iterator[None]:
    """Have a PostgreSQL, with all its processes, stand still: it answers nothing and closes nothing."""
    server = node.server
    assert server is not None
    family = family_of([server])
    for process in family:
        send_signal(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in family:
            send_signal(process, signal.SIGCONT)


def test_a_healthy_run(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill()
    drill.wait_acked(400)
    drill.session.mark("fault_begin", "nothing")
    result = drill.finish()

    history = drill.history
    assert result["acked"] == result["sent"] == len(history.writes)
    assert [check["ok"] for check in result["checks"]] == [True, True, True, True], result["checks"]
    assert history.streams == tuple(map(str, range(8)))
    assert history.end_ns is not None
    for stream in range(8):
        seqs = history.writes.seq[history.writes.stream == stream]
        assert sorted(seqs) == list(range(len(seqs)))
        assert drill.survivors()[stream] == list(range(len(seqs)))
        seen = history.reads.select((history.reads.stream == stream) & (history.reads.seq != NO_SEQ))
        assert len(seen) >= 5
        assert (np.diff(seen.seq) > 0).all()
    facts = history.header
    assert (facts["synchronous"], facts["synchronous_commit"]) == (True, "on")
    assert facts["hypertable"] is find_programs().has_timescaledb
    assert facts["timeline"] >= 1
    assert not [node.endpoint for node in timescaledb_lab.nodes if node.endpoint in str(facts)]
    assert f"stream 7 writes to {primary(timescaledb_lab).endpoint}" in drill.log
    assert f"reads from {replica(timescaledb_lab).endpoint} (a replica)" in drill.log
    assert drill.schema not in schemas(timescaledb_lab)


def test_planted_rows_are_found_for_what_they_are(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(connections=2, keep_schema=True)
    drill.wait_acked(50)
    payload, never = filler(100), 1_000_000

    def sealed(seq: int, drill_id: str = drill.drill_id, stream: int = 1) -> int:
        return int(Seal(drill_id, stream, payload).of(str(seq).encode()))

    rows = [
        (drill.drill_id, 1, 3, payload, sealed(3)),
        (drill.drill_id, 1, 3, payload, sealed(3) ^ 1),
        (drill.drill_id, 1, 4, "x" * 100, sealed(4)),
        ("another drill", 1, 4, payload, sealed(4, "another drill")),
        (drill.drill_id, 1, never, payload, sealed(never)),
        (drill.drill_id, 0, 5, payload, sealed(5)),  # of stream 1, so its checksum is not that of stream 0
        (drill.drill_id, 7, 5, payload, sealed(5, stream=7)),
    ]
    insert = f"INSERT INTO {drill.schema}.ledger (drill, stream, seq, payload, checksum) VALUES (%s, %s, %s, %s, %s)"
    with session(timescaledb_lab) as connection, connection.cursor() as cursor:
        cursor.executemany(insert, rows)
        lost = cursor.execute(f"DELETE FROM {drill.schema}.ledger WHERE stream = 0 AND seq IN (2, 7, 9)").rowcount
    assert lost == 3
    drill.wait_acked(50)
    result = drill.finish()
    with session(timescaledb_lab) as connection:
        connection.execute(f"DROP SCHEMA {drill.schema} CASCADE")

    found, acked = drill.survivors(), drill.written(Outcome.OK)
    assert sorted(found[0]) == [NO_SEQ, *sorted(acked[0] - {2, 7, 9})]
    assert sorted(found[1]) == sorted([NO_SEQ, NO_SEQ, 3, never, *acked[1]])
    assert (result["findings"]["foreign"], result["findings"]["damaged"]) == (2, 3)
    judged = judge(drill.history, Limits(), Parameters()).as_dict()
    assert (judged["lost"], judged["duplicated"], judged["unexpected"]) == (3, 1, 4)


def test_a_cancelled_wait_for_the_standby_is_no_acknowledgement(
    timescaledb_lab: Cluster, start_drill: StartDrill
) -> None:
    drill = start_drill(answer_timeout_s=30)
    drill.wait_acked(100)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = current_user"
    cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    follows = replica(timescaledb_lab)
    with session(timescaledb_lab, primary(timescaledb_lab)) as connection, paused(follows):

        def all_wait() -> bool:
            row = connection.execute(waiting).fetchone()
            return row is not None and row[0] == 8

        assert wait_until(all_wait, 20), "no commit waits for the standby"
        assert drill.session.snapshot()["unknown"] == 0
        assert connection.execute(cancel).fetchone() == (8,)
        assert wait_until(lambda: drill.session.snapshot()["unknown"] >= 8, 10), drill.session.snapshot()
    drill.wait_acked(100)
    result = drill.finish()
    wait_whole(timescaledb_lab)

    unknown, found = drill.written(Outcome.UNKNOWN), drill.survivors()
    assert result["unknown"] == sum(map(len, unknown.values())) >= 8
    assert [len(seqs) for seqs in unknown.values()].count(0) == 0, "one of each connection"
    assert all(seqs <= set(found[stream]) for stream, seqs in unknown.items()), "they are committed all the same"
    assert result["findings"]["connections_lost"] == 0
    judged = judge(drill.history, Limits(), Parameters()).as_dict()
    assert (judged["lost"], judged["recovered"]) == (0, result["unknown"])


def test_a_server_that_says_nothing_is_given_up(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(answer_timeout_s=1.5, pipeline=4, rate_per_s=400)
    drill.wait_acked(100)
    with paused(primary(timescaledb_lab)):
        assert wait_until(lambda: drill.session.snapshot()["unknown"] >= 32, 10), drill.session.snapshot()
        assert wait_until(lambda: drill.session.snapshot()["failed"] > 300, 10), drill.session.snapshot()
    drill.wait_acked(200)
    result = drill.finish()
    wait_whole(timescaledb_lab)
    assert result["findings"]["connections_lost"] >= 8
    assert "no answer for 1.5 s (4 writes unanswered, " in drill.log
    assert "does not answer" in drill.log or "writes to" in drill.log.split("no answer for")[-1]
    judged = judge(drill.history, Limits(), Parameters()).as_dict()
    assert (judged["lost"], judged["duplicated"], judged["unexpected"]) == (0, 0, 0)
    assert set(np.diff(np.sort(drill.history.writes.invoked_ns))) == {2_500_000}, "an open loop skips nothing"


def test_what_the_server_refuses_is_recorded_as_failed(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill()
    drill.wait_acked(50)
    with session(timescaledb_lab) as connection:
        connection.execute(f"ALTER TABLE {drill.schema}.ledger ADD CONSTRAINT no CHECK (seq < 0) NOT VALID")
        assert wait_until(lambda: drill.session.snapshot()["failed"] > 50, 30), drill.session.snapshot()
        connection.execute(f"ALTER TABLE {drill.schema}.ledger DROP CONSTRAINT no")
    drill.wait_acked(200)
    result = drill.finish()
    assert (result["unknown"], result["findings"]["connections_lost"]) == (0, 0)
    judged = judge(drill.history, Limits(), Parameters()).as_dict()
    assert (judged["lost"], judged["recovered"], judged["failed"]) == (0, 0, result["failed"])


def test_a_crash_of_the_postmaster_costs_seconds_and_nothing_else(
    timescaledb_lab: Cluster, start_drill: StartDrill
) -> None:
    drill = start_drill()
    assert wait_until(lambda: drill.session.snapshot()["clean_s"] > 6, 60), "no clean baseline"
    victim = primary(timescaledb_lab).server
    assert victim is not None
    drill.session.mark("fault_begin", "kill the postmaster")
    send_signal(victim, signal.SIGKILL)
    assert not wait_gone([victim], 10)
    drill.session.mark("fault_end")
    assert wait_until(lambda: drill.session.snapshot()["failed"] > 0, 10), "nobody noticed"
    assert wait_until(lambda: drill.session.snapshot()["clean_s"] > 3, 60), drill.session.snapshot()
    result = drill.finish()
    wait_whole(timescaledb_lab)
    assert all(check["ok"] for check in result["checks"]), result["checks"]
    short = Parameters(stable_s=2, baseline_s=4, watch_s=2)
    found = judge(drill.history, Limits(rto_s=60, rpo_s=900, max_lost=0), short).as_dict()
    assert (found["lost"], found["duplicated"], found["unexpected"]) == (0, 0, 0)
    assert found["rto_verdict"] == "met", list(found.items())
    assert found["rto_actual_s"] > 0.5


def test_the_death_of_the_drill(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    drill = start_drill(eof_drain_s=2.0)
    drill.wait_acked(50)
    drill.session._channel.close()
    assert not wait_gone([drill.session.identity], 20)
    history = drill.history
    assert (history.end_ns, len(history.finals)) == (None, 0)
    assert [mark.name for mark in history.marks] == ["load_end", "drained"]
    assert drill.schema in schemas(timescaledb_lab), "what is in it is evidence"
    with session(timescaledb_lab) as connection:
        connection.execute(f"DROP SCHEMA {drill.schema} CASCADE")


@pytest.mark.parametrize("client", ["plain", "watchful"])
def test_both_clients_find_the_primary_whatever_its_place(
    timescaledb_lab: Cluster, start_drill: StartDrill, client: str
) -> None:
    dsn = Dsn.of(dsn_of(timescaledb_lab))
    where = [replica(timescaledb_lab).endpoint, primary(timescaledb_lab).endpoint]
    passfile = dsn.parameters["passfile"]
    drill = start_drill(f"postgresql://drill@{','.join(where)}/drill?passfile={passfile}", client=client, connections=2)
    drill.wait_acked(50)
    assert drill.finish()["failed"] == 0
    assert f"stream 0 writes to {where[1]}" in drill.log


def test_a_read_back_in_an_older_history_is_an_error(timescaledb_lab: Cluster) -> None:
    arguments = Arguments.of("d1", {"dsn": dsn_of(timescaledb_lab)})
    reading = LedgerReadBack(arguments, "d1", Client(arguments.where, "a test"), [1, 99], 8)
    with pytest.raises(UnavailableError, match="timeline 99 was written to: its history goes back"):
        next(reading.run(20, lambda text: None))


def test_two_primaries_at_once_are_told_and_never_written_to(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    first, second = primary(timescaledb_lab), replica(timescaledb_lab)
    drill = start_drill(keep_schema=True)
    drill.wait_acked(50)
    patronis = [node.process for node in (first, second) if node.process is not None]
    for process in patronis:
        send_signal(process, signal.SIGSTOP)  # who would mend it
    try:
        with superuser(timescaledb_lab, second) as connection:
            connection.execute("SELECT pg_promote()")
        with pytest.raises(UnavailableError, match="two primaries at once: 127"):
            start_drill()
        seen = probes.primary(settings(timescaledb_lab))
        assert seen["primaries"] == 2
        result = drill.finish()
    finally:
        for process in patronis:
            send_signal(process, signal.SIGCONT)
    failed = {check["name"]: check["detail"] for check in result["checks"] if not check["ok"]}
    assert "two primaries at once" in failed["read back"]
    assert drill.history.end_ns is not None
    assert drill.history.finals == {}
    actions.wait_whole(120, configuration=settings(timescaledb_lab))
    with session(timescaledb_lab) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {drill.schema} CASCADE")


def test_two_ways_to_one_server_are_no_two_primaries(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    leads, dsn = primary(timescaledb_lab), Dsn.of(dsn_of(timescaledb_lab))
    port, passfile = leads.endpoint.partition(":")[2], dsn.parameters["passfile"]
    password = Path(passfile).read_text().splitlines()[0].rpartition(":")[2]
    twice = f"postgresql://drill:{password}@127.0.0.1:{port},localhost:{port}/drill"
    drill = start_drill(twice, read_from="primary", connections=2)
    drill.wait_acked(20)
    assert drill.finish()["unknown"] == 0


def test_drills_do_not_know_one_another(timescaledb_lab: Cluster, start_drill: StartDrill) -> None:
    first, second = start_drill(connections=2), start_drill(connections=2)
    for drill in (first, second):
        drill.wait_acked(50)
    for drill in (first, second):
        result = drill.finish()
        assert (result["acked"], result["findings"]["foreign"]) == (result["sent"], 0)
        assert {stream: set(seqs) for stream, seqs in drill.survivors().items()} == drill.written(Outcome.OK)
