"""Roles, faults, planned work and probes on real servers."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.faults import lock, marking
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.host.nodes import Cluster, load
from chaosdrills.host.processes import family_of, is_alive, is_paused, wait_until
from chaosdrills.host.sockets import accepts
from chaosdrills.timescaledb import actions, preview, probes
from chaosdrills.timescaledb.dsn import Dsn
from chaosdrills.timescaledb.way import way_of
from tests.timescaledb.servers import ask, primary, replica, servers, session, settings, wait_whole

pytestmark = pytest.mark.lab

NOTHING = {"healed": 0, "nothing_to_do": 0}
NAMES = ["fault_begin", "fault_end", "heal_begin", "heal_end"]
Marks = list[tuple[str, str]]


@pytest.fixture
def lab(timescaledb_lab: Cluster) -> Iterator[Cluster]:
    yield timescaledb_lab
    marking.set_marker(None)
    healing = heal_outstanding()
    lock.release()
    healing.demand()
    actions.wait_whole(120, configuration=settings(timescaledb_lab))


def elsewhere(lab: Cluster) -> dict[str, str]:
    """The configuration of an experiment on the same servers under another name: a cluster that is not the lab."""
    configured = settings(lab)
    passfile = Path(Dsn.of(configured["timescaledb_dsn"]).parameters["passfile"])
    password = passfile.read_text().splitlines()[0].rpartition(":")[2]
    there = lab.endpoint.replace("127.0.0.1", "localhost")
    dsn = f"postgresql://drill:{password}@{there}/drill"
    return {**configured, "timescaledb_dsn": dsn}


def test_a_whole_cluster_is_told_by_every_probe(lab: Cluster) -> None:
    configured = settings(lab)
    wait_whole(lab)
    leads, follows = primary(lab), replica(lab)
    whole = {"whole": True, "servers": 2, "silent": 0, "primaries": 1, "standbys": 1, "synchronous": 1, "lacks": ""}
    assert probes.cluster_whole(configured) == whole
    timeline = int(str(ask(lab, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")), 16)
    assert probes.primary(configured) == {"primary": leads.id, "primaries": 1, "timeline": timeline}
    lag = probes.replication_lag(configured)
    assert (lag["standbys"], lag["streaming"], lag["worst"]) == (1, 1, f"node{follows.id}")
    assert 0 <= lag["lag_bytes"] < 1_000_000
    assert probes.synchronous_standbys(configured) == {"synchronous": 1, "waits": True, "names": f"node{follows.id}"}
    assert probes.replication_slots(configured) == {"slots": 1, "inactive": 0, "which": ""}
    seen = {node.id: probes.in_recovery(node.id, configured) for node in servers(lab)}
    assert {node: it["in_recovery"] for node, it in seen.items()} == {leads.id: False, follows.id: True}
    assert (seen[follows.id]["streaming"], seen[follows.id]["timeline"]) == (True, timeline)
    with pytest.raises(ActivityFailed, match="the DSN has no server 3"):
        probes.in_recovery(3, configured)
    with pytest.raises(ActivityFailed, match="there is no PostgreSQL connection string"):
        probes.primary({})


def test_a_killed_primary_is_replaced_and_rejoins_rewound(lab: Cluster, marks: Marks) -> None:
    leads, before = primary(lab), probes.primary(settings(lab))["timeline"]
    family = family_of([it for it in (leads.process, leads.server) if it])
    assert len(family) > 10
    killed = actions.kill_node(configuration=settings(lab))
    what = f"kill -9 of node {leads.id} (primary)"
    assert killed == {"killed": 1, "node": leads.id, "what": what}
    assert not accepts(leads.endpoint)
    assert [it for it in family if is_alive(it)] == []
    assert [(entry.fault, entry.target.label) for entry in outstanding()[0]] == [("kill", f"node {leads.id} (primary)")]
    seen = probes.cluster_whole(settings(lab))
    assert (seen["whole"], seen["silent"]) == (False, 1)
    assert f"{leads.endpoint} says: Connection refused" in seen["lacks"]
    assert wait_until(lambda: probes.primary(settings(lab))["primaries"] == 1, 60, 0.2), "nobody was promoted"
    assert primary_id(lab) == 3 - leads.id
    assert actions.heal_nodes(settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert actions.heal_nodes(settings(lab)) == NOTHING
    whole = actions.wait_whole(120, configuration=settings(lab))
    assert (whole["servers"], whole["standbys"], whole["synchronous"]) == (2, 1, 1)
    assert whole["timeline"] == before + 1
    assert [name for name, _ in marks] == NAMES
    assert marks[0][1] == what


def primary_id(lab: Cluster) -> int:
    return int(probes.primary(settings(lab))["primary"])


def test_a_killed_postmaster_is_started_again_by_its_patroni(lab: Cluster, marks: Marks) -> None:
    leads = primary(lab)
    killed = actions.kill_node(what="postmaster", configuration=settings(lab))
    assert killed["what"] == f"kill -9 of the postmaster of node {leads.id} (primary)"
    assert leads.alive
    actions.wait_whole(60, configuration=settings(lab))
    assert primary(lab).id == leads.id
    assert actions.heal_nodes(settings(lab)) == {"healed": 0, "nothing_to_do": 1}
    assert [name for name, _ in marks] == NAMES[:2]


def test_a_lost_disk_is_made_anew_from_the_leader(lab: Cluster, marks: Marks) -> None:
    follows = replica(lab)
    kept = {
        node.id: (inode(Path(node.data_dir)), made_ns(Path(node.data_dir)))
        for node in lab.nodes
        if node.id != follows.id
    }
    lost = actions.lose_disk("replica", configuration=settings(lab))
    what = f"kill -9 and loss of the disk of node {follows.id} (replica)"
    assert lost == {"lost_disks": 1, "node": follows.id, "what": what}
    assert not Path(follows.data_dir).exists()
    assert [(entry.fault, entry.target.label) for entry in outstanding()[0]] == [
        ("lose_disk", f"node {follows.id} (replica)")
    ]
    with session(lab) as connection:
        connection.execute("CREATE TABLE meanwhile AS SELECT 1")
    assert actions.heal_nodes(settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert actions.heal_nodes(settings(lab)) == NOTHING
    actions.wait_whole(120, configuration=settings(lab))
    assert ask(lab, "SELECT count(*) FROM meanwhile", replica(lab)) == 1
    with session(lab) as connection:
        connection.execute("DROP TABLE meanwhile")
    assert {
        node.id: (inode(Path(node.data_dir)), made_ns(Path(node.data_dir)))
        for node in lab.nodes
        if node.id != follows.id
    } == kept
    assert marks == [(name, what if "fault" in name else f"heal of {what}") for name in NAMES]


def test_the_last_disk_is_not_lost(lab: Cluster, marks: Marks) -> None:
    leads = primary(lab)
    actions.kill_node("replica", configuration=settings(lab))
    with pytest.raises(ActivityFailed, match=rf"no server but node {leads.id} \(primary\) answers.*nothing was inj"):
        actions.lose_disk(configuration=settings(lab))
    assert ask(lab, "SELECT 1", leads) == 1
    assert [entry.fault for entry in outstanding()[0]] == ["kill"]
    assert actions.heal_nodes(settings(lab)) == {"healed": 1, "nothing_to_do": 0}


@pytest.mark.parametrize("role", ["sync_standby", "replica"])
def test_a_stopped_standby_ends_in_good_order_and_is_started_again(lab: Cluster, marks: Marks, role: str) -> None:
    follows = replica(lab)
    before = Path(follows.log).read_text(errors="replace").count("database system is shut down")
    words = {"sync_standby": "synchronous standby", "replica": "replica"}[role]
    stopped = actions.stop_node(role, configuration=settings(lab))
    assert stopped == {"stopped": 1, "node": follows.id, "what": f"stop of node {follows.id} ({words})"}
    assert Path(follows.log).read_text(errors="replace").count("database system is shut down") > before
    assert follows.server is None
    with session(lab) as connection:
        connection.execute("CREATE TABLE gone (x int)")  # commits wait for nobody any more
        connection.execute("DROP TABLE gone")
    assert actions.heal_nodes(settings(lab)) == {"healed": 1, "nothing_to_do": 0}


def test_a_paused_replica_stands_still_as_a_whole_and_goes_on(lab: Cluster, marks: Marks) -> None:
    follows = replica(lab)
    paused = actions.pause_node("replica", configuration=settings(lab))
    assert paused["what"] == f"pause of node {follows.id} (replica)"
    family = family_of([it for it in (follows.process, follows.server) if it])
    assert len(family) > 8
    assert all(is_paused(it) for it in family), "some of it goes on"
    assert accepts(follows.endpoint), "the kernel accepts connections for it"
    assert "does not answer" in probes.cluster_whole(settings(lab))["lacks"]
    with pytest.raises(ActivityFailed, match="is paused already: nothing was hit"):
        actions.pause_node("id", follows.id, configuration=settings(lab))
    assert actions.heal_nodes(settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert not any(is_paused(it) for it in family)
    assert [name for name, _ in marks] == NAMES


def test_wal_that_is_held_back_is_nowhere_else(lab: Cluster, marks: Marks) -> None:
    leads = primary(lab)
    held = actions.hold_back_wal(settings(lab))
    assert held == {"held": 1, "what": f"pause of walsender of node {leads.id} (primary)"}
    with session(lab, leads) as connection:
        connection.execute("SET synchronous_commit = local")
        connection.execute("CREATE TABLE held (x int)")
    time_until = time.monotonic() + 1
    while time.monotonic() < time_until:
        assert ask(lab, "SELECT to_regclass('held')", replica(lab)) is None
    assert actions.heal_nodes(settings(lab)) == {"healed": 1, "nothing_to_do": 0}
    assert wait_until(lambda: ask(lab, "SELECT to_regclass('held')", replica(lab)) == "held", 10)
    with session(lab) as connection:
        connection.execute("DROP TABLE held")


def test_planned_work_is_done_by_patroni_and_marked(lab: Cluster, marks: Marks) -> None:
    leads, configured = primary(lab), settings(lab)
    switched = actions.switch_over(configuration=configured)
    names = (f"node{leads.id}", f"node{3 - leads.id}")
    assert switched == {"switched": 1, "before": names[0], "after": names[1], "what": f"switchover from {names[0]}"}
    actions.wait_whole(90, configuration=configured)
    assert primary(lab).id == 3 - leads.id
    started = "SELECT pg_postmaster_start_time()::text"
    before = ask(lab, started)
    restarted = actions.restart_postgresql(configuration=configured)
    assert restarted["what"] == f"restart of PostgreSQL on {names[1]} (primary)"
    actions.wait_whole(90, configuration=configured)
    assert ask(lab, started) != before
    made = made_ns(replica_dir(lab, leads.id))
    assert actions.reinitialise_replica(configuration=configured)["member"] == names[0]
    assert wait_until(lambda: made_ns(replica_dir(lab, leads.id)) not in (made, 0), 30), "its data is the same"
    actions.wait_whole(90, configuration=configured)
    assert [name for name, _ in marks] == ["fault_begin", "fault_end"] * 3
    assert outstanding() == ([], [])
    with pytest.raises(ActivityFailed, match="Patroni knows no member 'node9'"):
        actions.switch_over("node9", configuration=configured)


def replica_dir(lab: Cluster, node_id: int) -> Path:
    return Path(lab.node(node_id).data_dir)


def inode(path: Path) -> int:
    return path.stat().st_ino if path.exists() else 0


def made_ns(data: Path) -> int:
    """When a data directory was made: its first file is written once (an inode's number may come again)."""
    version = data / "PG_VERSION"
    return version.stat().st_ctime_ns if version.exists() else 0


def test_patroni_that_is_not_reached_is_told(lab: Cluster, tmp_path: Path) -> None:
    configured = settings(lab)
    for changed, why in (
        ({"timescaledb_patroni": ""}, "this needs Patroni's REST"),
        ({"timescaledb_patroni": "http://127.0.0.1:1"}, "no Patroni answers: .*refused"),
        ({"timescaledb_patroni": "127.0.0.1:8008"}, "is no list of addresses"),
        ({"timescaledb_patroni": "http://drill:hunter2@127.0.0.1:1"}, "holds who we are, which would be shown"),
        ({"timescaledb_patroni_auth_file": ""}, r"does not let us in \(401\)"),
        ({"timescaledb_patroni_auth_file": str(tmp_path / "none")}, "auth_file cannot be read"),
    ):
        with pytest.raises(ActivityFailed, match=why) as caught:
            actions.restart_postgresql("replica", configuration={**configured, **changed})
        assert "hunter2" not in str(caught.value)
    wrong = {"patroni_username": "drill", "patroni_password": "hunter2"}
    with pytest.raises(ActivityFailed, match=r"does not let us in \(401\)") as caught:
        actions.restart_postgresql("replica", configuration=configured, secrets=wrong)
    assert "hunter2" not in str(caught.value)
    without = {**configured, "timescaledb_patroni": ""}
    assert probes.cluster_whole(without)["whole"]


def by_command(lab: Cluster, **more: Any) -> dict[str, Any]:
    """Commands that kill and start a node of the lab, as a user's would a machine."""
    code = (
        "import os, sys; from chaosdrills.host.nodes import load, start_node; "
        "node = next(it for it in load('timescaledb').nodes if it.endpoint.endswith(':' + sys.argv[2])); "
        "start_node('timescaledb', node.id) if sys.argv[1] == 'heal' "
        "else [os.kill(it.pid, 9) for it in (node.process, node.server)]"
    )
    argv = [sys.executable, "-c", code]
    return {"target": "command", "inject": [*argv, "inject", "{port}"], "heal": [*argv, "heal", "{port}"], **more}


def test_a_lab_fault_hits_nothing_but_the_lab_and_a_command_any_cluster(lab: Cluster, marks: Marks) -> None:
    there = elsewhere(lab)
    with pytest.raises(ActivityFailed, match=r"which is not the timescaledb lab at .*target 'command'"):
        actions.kill_node("replica", configuration=there)
    with pytest.raises(ActivityFailed, match="etcd can only be hit on the lab"):
        actions.kill_node("etcd", configuration=there, **by_command(lab))
    assert marks == []
    follows = replica(lab)
    killed = actions.kill_node("replica", configuration=there, **by_command(lab))
    assert killed["what"] == f"kill by command of server {follows.id} (replica)"
    assert not accepts(follows.endpoint)
    with pytest.raises(ActivityFailed, match=r"the cluster is degraded already \(.*\): nothing was injected"):
        actions.kill_node("primary", configuration=there, **by_command(lab))
    assert actions.heal_nodes(there) == {"healed": 1, "nothing_to_do": 0}
    assert wait_until(lambda: accepts(follows.endpoint), 60)


def test_a_preview_names_the_very_processes_and_does_nothing(lab: Cluster) -> None:
    way, leads = way_of(settings(lab), {}), primary(lab)
    assert leads.process is not None
    assert leads.server is not None
    given = {"role": "primary", "node_id": -1, "what": "node", "target": "lab", "timeout_s": 60}
    found = preview.foresee("kill_node", given, {}, way, to_come=False)
    assert found == {
        "hits": [
            {
                "broker": leads.id,
                "noun": "node",
                "address": leads.endpoint,
                "why": f"node {leads.id} (primary)",
                "check": "",
                "by": f"SIGKILL to process {leads.process.pid} and {leads.server.pid}",
                "heal": f"node {leads.id} of the lab is started, if it does not run",
            }
        ],
        "then": "",
        "bounds": ["nodes of the lab and nothing else"],
        "refused": None,
    }
    there = way_of(elsewhere(lab), {})
    (lost,) = preview.foresee("lose_disk", given, {}, way, to_come=False)["hits"]
    assert lost["by"] == f"{found['hits'][0]['by']}, and removal of {leads.data_dir}"
    etcd = preview.foresee("lose_disk", {**given, "role": "etcd"}, {}, way, to_come=True)["refused"]
    assert "the lab's only etcd would forget its cluster" in str(etcd)
    then = preview.foresee("lose_disk", given, {}, way, to_come=True)["then"]
    assert then == "the primary, as it is then; by SIGKILL and removal of its data on the lab"
    refused = preview.foresee("kill_node", given, {}, there, to_come=False)["refused"]
    assert "which is not the timescaledb lab" in str(refused)
    command = {**given, **by_command(lab)}
    (hit,) = preview.foresee("kill_node", command, {}, there, to_come=False)["hits"]
    assert hit["by"].endswith(f"inject {leads.endpoint.rpartition(':')[2]}")
    held = preview.foresee("hold_back_wal", {}, {}, way, to_come=False)["then"]
    assert held.endswith(f"now {ask(lab, 'SELECT pid FROM pg_stat_replication', leads)}")
    without = way_of({**settings(lab), "timescaledb_patroni": ""}, {})
    planned = preview.foresee("switch_over", {"candidate": ""}, {}, without, to_come=False)["refused"]
    assert "needs Patroni's REST" in str(planned)
    assert preview.look(way, to_come=False)["degraded"] == ""
    assert (outstanding(), lock.held_by(), primary(lab).server) == (([], []), "", leads.server)


def test_a_lab_on_a_plain_network_is_refused_with_what_to_do(lab: Cluster, marks: Marks) -> None:
    why = rf"lab is plain, on which node {primary(lab).id} \(primary\) cannot be hit.*--network isolable"
    with pytest.raises(ActivityFailed, match=why):
        actions.isolate_node(configuration=settings(lab))
    with pytest.raises(ActivityFailed, match=r"there is no scope 'half'.*choose one of all, peers, clients"):
        actions.isolate_node(scope="half", configuration=settings(lab))
    assert (marks, outstanding(), lock.held_by()) == ([], ([], []), "")


INJECTOR = """
import json, sys
from chaosdrills.timescaledb import actions
print(getattr(actions, sys.argv[1])(**json.loads(sys.argv[2]))["what"], flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("func", "did"), [("kill_node", "kill -9 of"), ("lose_disk", "kill -9 and loss of the disk of")]
)
def test_what_a_killed_drill_did_is_healed_from_another_folder(
    lab: Cluster, tmp_path: Path, func: str, did: str
) -> None:
    follows = replica(lab)
    given = json.dumps({"role": "replica", "configuration": settings(lab)})
    with subprocess.Popen(
        [sys.executable, "-c", INJECTOR, func, given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as drill:
        assert drill.stdout is not None
        assert drill.stdout.readline() == f"{did} node {follows.id} (replica)\n"
        drill.kill()
    code = "from chaosdrills.cli.main import main; main()"
    argv = [sys.executable, "-c", code, "heal", "--service", "timescaledb"]
    healed = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (healed.returncode, healed.stdout) == (0, f"healed: {did} node {follows.id} (replica)\n"), healed.stderr
    found = load("timescaledb")
    assert found is not None
    assert found.node(follows.id).alive


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"role": "king"}, "there is no role 'king'"),
        ({"role": "id"}, "the role 'id' needs 'node_id'"),
        ({"role": "id", "node_id": 9}, "the timescaledb lab has no node 9"),
        ({"what": "half"}, "what is 'half'"),
        ({"role": "etcd", "what": "postmaster"}, "only a kill of a PostgreSQL node can hit the postmaster alone"),
        ({"inject": ["true"]}, "inject is given, but the target is 'lab'"),
        ({"target": "command"}, "inject is "),
        ({"timeout_s": 0}, "timeout_s is 0"),
    ],
)
def test_what_cannot_be_used_is_refused(lab: Cluster, marks: Marks, given: dict[str, Any], why: str) -> None:
    with pytest.raises(ActivityFailed, match=why):
        actions.kill_node(**given, configuration=settings(lab))
    assert (marks, outstanding(), lock.held_by()) == ([], ([], []), "")
