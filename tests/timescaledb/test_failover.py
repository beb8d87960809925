"""The watch of the WAL on real servers, against what the test itself sees of them."""

import re
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import marking
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import wait_until
from chaosdrills.timescaledb import actions
from chaosdrills.timescaledb.failover import Failover
from chaosdrills.timescaledb.lag import CHECK
from chaosdrills.timescaledb.patroni import Patroni
from chaosdrills.timescaledb.way import way_of
from tests.timescaledb.servers import ask, primary, replica, session, settings, wait_whole

pytestmark = pytest.mark.lab

POSITION = "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint"
TIMELINE = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"


def left_at(data_dir: str, timeline: int) -> int:
    """Where this timeline was left, by the promoted server's own file."""
    text = (Path(data_dir) / "pg_wal" / f"{timeline + 1:08X}.history").read_text()
    (found,) = re.findall(rf"^{timeline}\t([0-9A-F]+)/([0-9A-F]+)\t", text, re.MULTILINE)
    return (int(found[0], 16) << 32) + int(found[1], 16)


def test_what_a_promoted_server_lacks_is_told_to_the_byte(timescaledb_lab: Cluster) -> None:
    lab, configured = timescaledb_lab, settings(timescaledb_lab)
    wait_whole(lab)
    leads, follows, timeline = primary(lab), replica(lab), int(str(ask(lab, TIMELINE)))
    way = way_of(configured, {})
    watch = Failover(way.client, way.its_patroni)
    watch.require_limit()
    watch.start()
    try:
        actions.hold_back_wal(configured)
        with session(lab, leads) as connection:
            connection.execute("SET synchronous_commit = local")
            connection.execute("CREATE TABLE lost AS SELECT g FROM generate_series(1, 3000) AS g")
        position = int(str(ask(lab, POSITION, leads)))
        seen = wait_until(lambda: watch._track.ends[timeline].position >= position, 10)
        assert seen, "the watch is behind"
        lost = actions.lose_disk(configuration=configured)
        assert lost["what"] == f"kill -9 and loss of the disk of node {leads.id} (primary)"
        assert watch.checks() == []
        assert wait_until(lambda: watch.checks() != [] and watch.checks()[0][1], 60), watch.checks()
    finally:
        watch.stop()
        marking.set_marker(None)
    ((name, ok, said),) = watch.checks()
    lacked = int(re.findall(r"lacked ([\d,]+) bytes", said)[0].replace(",", ""))
    assert (name, ok) == (CHECK, True)
    assert lacked >= position - left_at(follows.data_dir, timeline) > 100_000
    assert lacked == watch._track.ends[timeline].position - left_at(follows.data_dir, timeline)
    actions.heal_nodes(configured)
    actions.wait_whole(120, configuration=configured)
    assert ask(lab, "SELECT to_regclass('lost')") is None


def test_without_patroni_nothing_can_be_judged(timescaledb_lab: Cluster) -> None:
    watch = Failover(way_of(settings(timescaledb_lab), {}).client, Patroni(("http://127.0.0.1:1",)))
    with pytest.raises(UnavailableError, match="no Patroni answers"):
        watch.require_limit()
    watch.stop()


def test_of_a_primary_that_falls_silent_nobody_knows_how_far_it_comes(timescaledb_lab: Cluster) -> None:
    lab, configured = timescaledb_lab, settings(timescaledb_lab)
    wait_whole(lab)
    timeline, way = int(str(ask(lab, TIMELINE))), way_of(configured, {})
    watch = Failover(way.client, way.its_patroni)
    watch.start()
    try:
        assert wait_until(lambda: timeline in watch._track.ends, 10), "the primary is not seen"
        actions.pause_node(configuration=configured)
        assert wait_until(lambda: watch._track.ends[timeline].unseen_bytes is None, 10), watch._track.ends
        actions.heal_nodes(configured)
        assert wait_until(lambda: watch._track.ends[watch._track.newest].unseen_bytes == 0, 60), watch._track.ends
    finally:
        actions.heal_nodes(configured)
        watch.stop()
        marking.set_marker(None)
    actions.wait_whole(120, configuration=configured)
