"""What the watcher finds during a load, planted on real servers: in the drill's checks, and never met."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.summary import Check, verdict_of
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import is_paused, send_signal, wait_until
from chaosdrills.timescaledb import actions
from chaosdrills.timescaledb.dsn import Dsn
from chaosdrills.timescaledb.finding import ANY, Client
from chaosdrills.timescaledb.watcher import look
from tests.timescaledb.conftest import Drill, StartDrill
from tests.timescaledb.lone import Lone
from tests.timescaledb.servers import primary, replica, session, settings, superuser

pytestmark = pytest.mark.lab


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Lone]:
    """A server by itself."""
    server = Lone(tmp_path / "lone")
    server.data.parent.mkdir()
    server.make()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def drill(lone: Lone, tmp_path: Path) -> Iterator[Drill]:
    """A load on it."""
    running = Drill(f"postgresql://drill@{lone.address}/postgres", tmp_path, connections=2, read_from="primary")
    running.wait_acked(100)
    yield running
    running.session.close()


def found(drill: Drill, result: dict[str, Any]) -> dict[str, str]:
    """The checks of the servers' histories that failed; that they keep a drill from being met is seen to."""
    checks = [Check(**check) for check in result["checks"]]
    failed = {check.name: check.detail for check in checks if not check.ok}
    verdict = verdict_of(judge(drill.history, Limits(rto_s=900, rpo_s=86_400)), checks)
    assert verdict.verdict != "met"
    return failed


def sighted(drill: Drill, name: str) -> None:
    """Wait until the observer has said that it saw this."""
    assert wait_until(lambda: f"WARNING {name}: " in drill.log, 40), drill.log


def test_a_server_that_is_put_back_to_an_older_copy(lone: Lone, drill: Drill, tmp_path: Path) -> None:
    lone.keep(tmp_path / "copy")
    drill.wait_acked(200)
    lone.put_back(tmp_path / "copy")
    sighted(drill, "positions go on")
    drill.wait_acked(50)
    failed = found(drill, drill.finish())
    assert failed["positions go on"].startswith(f"{lone.address} went back from 0/")
    assert " on timeline 1 before " in failed["positions go on"]
    assert judge(drill.history, Limits()).as_dict()["lost"] > 100


def test_a_server_that_is_put_back_to_an_older_timeline(lone: Lone, drill: Drill, tmp_path: Path) -> None:
    lone.keep(tmp_path / "copy")
    drill.wait_acked(50)
    lone.promote()
    drill.wait_acked(200)
    lone.put_back(tmp_path / "copy")
    sighted(drill, "timelines go on")
    drill.wait_acked(50)
    failed = found(drill, drill.finish())
    assert failed["timelines go on"].startswith(f"{lone.address} went back from timeline 2 to 1 before ")
    assert "one history" in failed
    assert "its history goes back" in failed["read back"]


def test_a_servers_clock_that_jumps(lone: Lone, tmp_path: Path) -> None:
    lone.do(
        "CREATE SCHEMA planted",
        "CREATE TABLE planted.shift AS SELECT interval '0' AS by",
        "CREATE FUNCTION planted.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
        "'SELECT pg_catalog.clock_timestamp() + by FROM planted.shift'",
        "ALTER ROLE drill SET search_path = planted, pg_catalog, public",
    )
    drill = Drill(f"postgresql://drill@{lone.address}/postgres", tmp_path, connections=2, read_from="nothing")
    try:
        drill.wait_acked(300)
        lone.do("UPDATE planted.shift SET by = interval '-1 hour'")
        sighted(drill, "clocks go on")
        failed = found(drill, drill.finish())
        assert failed["clocks go on"].startswith(f"the clock of {lone.address} jumped back by 3600.0 s before ")
        assert list(failed) == ["clocks go on"]
    finally:
        drill.session.close()


def test_two_servers_that_know_nothing_of_one_another(lone: Lone, tmp_path: Path) -> None:
    stranger = Lone(tmp_path / "stranger")
    stranger.data.parent.mkdir()
    stranger.make()
    dsn = f"postgresql://drill@{lone.address},{stranger.address}/postgres"
    drill = Drill(dsn, tmp_path, connections=2, read_from="primary")
    try:
        drill.wait_acked(100)
        stranger.start()
        sighted(drill, "one primary at a time")
        failed = found(drill, drill.finish())
    finally:
        stranger.stop()
        drill.session.close()
    names = f"two primaries: {lone.address} (timeline 1) and {stranger.address} (timeline 1) both took writes from "
    assert failed["one primary at a time"].startswith(names)
    assert "two primaries at once" in failed["read back"]
    assert drill.history.finals == {}


@pytest.mark.parametrize("confirms", [True, False])
def test_a_standby_that_is_promoted_beside_its_primary(
    timescaledb_lab: Cluster, start_drill: StartDrill, confirms: bool
) -> None:
    """With a primary that waits for nobody there are two that take writes; else one that lingers."""
    old, new = primary(timescaledb_lab), replica(timescaledb_lab)
    drill = start_drill(keep_schema=True)
    drill.wait_acked(100)
    patronis = [node.process for node in (old, new) if node.process is not None]
    for process in patronis:
        send_signal(process, signal.SIGSTOP)  # who would mend it
    assert wait_until(lambda: all(map(is_paused, patronis)), 10)
    try:
        if confirms:
            do(timescaledb_lab, old, "ALTER SYSTEM SET synchronous_standby_names = ''", RELOAD)
        do(timescaledb_lab, new, "SELECT pg_promote()")
        sighted(drill, "one primary at a time")
        failed = found(drill, drill.finish(drain_s=5))
    finally:
        do(timescaledb_lab, old, "ALTER SYSTEM RESET synchronous_standby_names", RELOAD)
        for process in patronis:
            send_signal(process, signal.SIGCONT)
    text = failed["one primary at a time"]
    assert all(f"{node.endpoint} (timeline " in text for node in (old, new))
    assert (" both took writes from " if confirms else " both led from ") in text
    actions.wait_whole(120, configuration=settings(timescaledb_lab))
    with session(timescaledb_lab) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {drill.schema} CASCADE")


def test_one_look_tells_a_primary_from_its_standby(timescaledb_lab: Cluster) -> None:
    dsn = Dsn.of(settings(timescaledb_lab)["timescaledb_dsn"])
    seen = {}
    for host in dsn.hosts:
        found_one = Client(Dsn((host,), dsn.parameters), "a test").find(ANY, 10)
        seen[host.label] = look(found_one, host.label)
        found_one.close()
    leads, follows = seen[primary(timescaledb_lab).endpoint], seen[replica(timescaledb_lab).endpoint]
    assert (leads.leads, leads.takes_writes, leads.timeline > 0, leads.position > 0) == (True, True, True, True)
    assert (follows.leads, follows.takes_writes, follows.timeline, follows.position) == (False, False, 0, 0)
    assert leads.itself != follows.itself


RELOAD = "SELECT pg_reload_conf()"


def do(lab: Cluster, node: Node, *statements: str) -> None:
    """Have the superuser of a node do this."""
    with superuser(lab, node) as connection:
        for statement in statements:
            connection.execute(statement)
