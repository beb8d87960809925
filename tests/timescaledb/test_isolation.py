"""PostgreSQL nodes cut off from all, from their peers, from their clients: what the cluster and its clients see.

On labs of their own, one for each kind of network that can do it here.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.faults import lock, marking
from chaosdrills.faults.fault import Target
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.isolate import Isolate, isolate_target
from chaosdrills.host import network, packet_filter
from chaosdrills.host.nodes import Cluster, Node, load
from chaosdrills.host.processes import this_process, wait_until
from chaosdrills.host.sockets import accepts
from chaosdrills.lab import lifecycle
from chaosdrills.lab.status import status
from chaosdrills.timescaledb import actions, preview, probes
from chaosdrills.timescaledb.patroni import Patroni
from chaosdrills.timescaledb.way import way_of
from tests.conftest import POSTGRESQL_OFFSETS, free_base_port
from tests.faults.conformance import FaultConformance
from tests.faults.networks import FILTERED
from tests.timescaledb.servers import ask, dsn_of, primary, replica, servers, session, settings, wait_whole

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

INJECTOR = """
import json, sys
from chaosdrills.timescaledb.actions import isolate_node
arguments, configuration = json.loads(sys.argv[1])
print(isolate_node(**arguments, configuration=configuration)["what"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", params=[FILTERED, "proxied"])
def own_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp(f"state-{request.param}")))
        options = {"base_port": free_base_port(POSTGRESQL_OFFSETS), "network": request.param}
        yield lifecycle.up("timescaledb", options, owner=this_process())
        assert lifecycle.down("timescaledb")
        assert not packet_filter.clear("timescaledb"), "a cut was left behind"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections of the tests' own are not waited for long."""
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")


@pytest.fixture
def lab(own_lab: Cluster) -> Iterator[Cluster]:
    yield own_lab
    marking.set_marker(None)
    healing = heal_outstanding()
    lock.release()
    healing.demand()
    for effect in network.in_force("timescaledb", own_lab.network):
        network.lift("timescaledb", own_lab.network, effect)
    found = load("timescaledb")
    assert found is not None
    own_lab.nodes[:] = found.nodes
    wait_whole(own_lab)
    actions.wait_whole(120, configuration=settings(own_lab))


def leads(lab: Cluster, node: Node) -> bool:
    """Whether a node takes writes, by its own word; one that says nothing does not."""
    try:
        return ask(lab, "SELECT pg_is_in_recovery()", node) is False
    except psycopg.Error:
        return False


def host_port(node: Node) -> tuple[str, int]:
    host, port = node.endpoint.split(":")
    return host, int(port)


@contextmanager
def established(lab: Cluster, node: Node) -> Iterator[psycopg.Connection[Any]]:
    """A session that stands before anything is cut; its server gives up what takes long."""
    host, port = host_port(node)
    connection = psycopg.connect(
        dsn_of(lab), host=host, port=port, autocommit=True, options="-c statement_timeout=2000"
    )
    try:
        yield connection
    finally:
        connection.close()


def is_answered(connection: psycopg.Connection[Any]) -> bool:
    """Whether a question is answered within two seconds; then it may not be asked again."""
    connection.pgconn.send_query(b"SELECT 1")
    return bool(select.select([connection.pgconn.socket], [], [], 2)[0])


def drills(*arguments: str) -> str:
    """What `chaosdrills` prints."""
    code = "from chaosdrills.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def inject_and_die(lab: Cluster, **arguments: Any) -> str:
    """Isolate from a process that is then killed, as `chaos` may be; what was hit."""
    argv = [sys.executable, "-c", INJECTOR, json.dumps([arguments, settings(lab)])]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as injector:
        assert injector.stdout is not None
        what = injector.stdout.readline().strip()
        injector.kill()
    return what


class TestIsolateOnTheLab(FaultConformance):
    """Of the replica, which costs the least."""

    @pytest.fixture
    def fault(self) -> Isolate:
        return Isolate()

    @pytest.fixture
    def target(self, lab: Cluster) -> Target:
        return isolate_target(lab, replica(lab).id, "the replica", "replica")

    @pytest.fixture
    def served(self, lab: Cluster, target: Target) -> Callable[[], bool]:
        node = lab.node(target.handle["node"])

        def answers() -> bool:
            with suppress(psycopg.Error):
                return ask(lab, "SELECT 1", node) == 1
            return False

        return answers


def test_cut_off_from_all_a_primary_is_replaced_and_rejoins_after_a_heal_by_others(lab: Cluster) -> None:
    old, other = primary(lab), replica(lab)
    before = probes.primary(settings(lab))["timeline"]
    with established(lab, old) as connection:
        assert inject_and_die(lab, role="primary") == f"isolation of node {old.id} (primary)"
        assert not is_answered(connection)
    assert not accepts(old.endpoint, 1)
    assert wait_until(lambda: leads(lab, other), 60, 0.2), "nobody was promoted"
    assert status("timescaledb")["in_force"][0]["node"] == old.id
    assert f"  in force: node {old.id} is cut off from all\n" in drills("lab", "status")
    assert load("timescaledb") == lab, "a process was touched"
    assert drills("heal") == f"healed: isolation of node {old.id} (primary)\n"
    whole = actions.wait_whole(120, configuration=settings(lab))
    assert (whole["synchronous"], whole["timeline"]) == (1, before + 1)
    assert primary(lab).id == other.id


def test_cut_off_from_its_peers_a_primary_confirms_nothing_and_gives_up_before_another_leads(lab: Cluster) -> None:
    old, other = primary(lab), replica(lab)
    with established(lab, old) as connection:
        connection.execute("CREATE TABLE never_confirmed (x int)")
        hit = actions.isolate_node(scope="peers", configuration=settings(lab))
        assert hit == {"isolated": 1, "node": old.id, "what": f"isolation of node {old.id} (primary) from its peers"}
        assert connection.execute("SELECT 1").fetchone() == (1,), "its clients reach it"
        assert ask(lab, "SELECT pg_is_in_recovery()", old) is False, "new ones too"
        assert _patroni(old).members(), "its REST too"
        said: list[str | None] = []
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
        with suppress(psycopg.Error):  # it may already be told to end
            connection.execute("INSERT INTO never_confirmed VALUES (1)")
        assert not said or "synchronous replication" in str(said[0])
    gave_up = wait_until(lambda: not leads(lab, old), 60, 0.1)
    assert gave_up, "it goes on for ever"
    assert not leads(lab, other), "two primaries at once"
    assert wait_until(lambda: leads(lab, other), 60, 0.1), "nobody was promoted"
    assert not leads(lab, old)
    assert actions.heal_nodes(settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert actions.wait_whole(120, configuration=settings(lab))["synchronous"] == 1
    assert ask(lab, "SELECT count(*) FROM never_confirmed") == 0
    with session(lab) as after:
        after.execute("DROP TABLE never_confirmed")


def test_cut_off_from_its_clients_a_primary_stays_one(lab: Cluster) -> None:
    leader, follower = primary(lab), replica(lab)
    with established(lab, leader) as connection:
        actions.isolate_node(scope="clients", configuration=settings(lab))
        assert not is_answered(connection)
    assert not leads(lab, leader), "it answers to a new one"
    received = "SELECT status FROM pg_stat_wal_receiver"
    assert ask(lab, received, follower) == "streaming"
    (led,) = [it for it in _patroni(follower).members() if it.role == "leader"]
    assert led.name == f"node{leader.id}"
    assert actions.heal_nodes(settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert primary(lab).id == leader.id


def test_a_replica_is_copied_anew_on_every_network(lab: Cluster) -> None:
    leader = primary(lab)
    actions.reinitialise_replica(configuration=settings(lab))
    assert actions.wait_whole(120, configuration=settings(lab))["standbys"] == 1
    assert primary(lab).id == leader.id


def test_a_disk_is_lost_and_made_anew_on_every_network(lab: Cluster) -> None:
    follows = replica(lab)
    assert actions.lose_disk("replica", configuration=settings(lab))["node"] == follows.id
    assert not Path(follows.data_dir).exists()
    assert actions.heal_nodes(settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert actions.wait_whole(120, configuration=settings(lab))["standbys"] == 1


def test_etcd_is_cut_off_from_its_peers_and_has_no_clients(lab: Cluster) -> None:
    with pytest.raises(ActivityFailed, match=r"node 3 \(etcd\) has no clients but its peers, so nothing would be hit"):
        actions.isolate_node("etcd", scope="clients", configuration=settings(lab))
    assert outstanding() == ([], [])
    hit = actions.isolate_node("etcd", scope="peers", configuration=settings(lab))
    assert hit["what"] == "isolation of node 3 (etcd) from its peers"
    assert wait_until(lambda: not any(leads(lab, node) for node in servers(lab)), 60, 0.2), "Patroni goes on without"
    assert actions.heal_nodes(settings(lab)) == {"healed": 1, "nothing_to_do": 0}


def test_the_preview_names_the_node_and_from_whom(lab: Cluster) -> None:
    given = {"role": "primary", "node_id": -1, "scope": "peers"}
    seen = preview.foresee("isolate_node", given, {}, way_of(settings(lab), {}), False)
    (hit,) = seen["hits"]
    node, label = primary(lab), f"node {primary(lab).id} (primary)"
    assert (hit["broker"], hit["why"], hit["heal"]) == (node.id, label, "the cut is lifted")
    assert hit["by"] == f"isolation of {label} from its peers, by the {lab.network} network of the lab"
    to_come = preview.foresee("isolate_node", given, {}, way_of(settings(lab), {}), True)
    assert to_come["then"] == "the primary, as it is then; by isolate from its peers on the lab"


def test_a_lab_that_is_found_is_mended(lab: Cluster) -> None:
    inject_and_die(lab, role="replica", scope="peers")
    said: list[str] = []
    found = lifecycle.up("timescaledb", {"network": "isolable"}, this_process(), said.append)
    assert found.nodes == lab.nodes
    assert said[0] == "mended the network of the timescaledb lab, which a drill has left cut or slow"
    assert status("timescaledb")["in_force"] == []


def _patroni(node: Node) -> Patroni:
    return Patroni((f"http://127.0.0.1:{node.listeners['rest']}",))


@pytest.mark.skipif(os.geteuid() != 0, reason="every test here runs without root already")
def test_without_root_nodes_are_isolated_behind_the_proxy(tmp_path: Path) -> None:
    """In a user namespace of its own, where even root's processes have no rights over the network."""
    argv = [sys.executable, "-m", "pytest", "-q", __file__, "-k", "before_another", f"--basetemp={tmp_path / 'inner'}"]
    inside = ["unshare", "--user", "--map-user=1", "--map-group=1"]
    done = subprocess.run([*inside, *argv], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "1 passed, 1 skipped" in done.stdout
    assert "NO PACKET FILTER HERE: it needs root" in done.stdout
