"""Two real PostgreSQL nodes and etcd: up, found again, hurt, healed, and ended, from Python and the command line."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster
from chaosdrills.host.processes import identify, is_alive, send_signal, this_process, wait_until
from chaosdrills.lab import application_node, lifecycle, supervision, timescaledb
from chaosdrills.lab.postgresql_programs import BINDIR
from chaosdrills.lab.status import status
from chaosdrills.timescaledb.client import Opening, Session
from chaosdrills.timescaledb.dsn import Dsn
from tests.conftest import POSTGRESQL_OFFSETS, free_base_port

pytestmark = pytest.mark.lab

OTHER = "/usr/lib/postgresql/15/bin"
COMMAND = [sys.executable, "-c", "from chaosdrills.cli.main import main; main()", "lab"]
OWNED = (
    "import sys, signal; from chaosdrills.host.processes import this_process; from chaosdrills.lab import lifecycle; "
    "lifecycle.up('timescaledb', {'base_port': int(sys.argv[1])}, owner=this_process()); print('up', flush=True); "
    "signal.pause()"
)


def base_port() -> int:
    return free_base_port(POSTGRESQL_OFFSETS)


def ask(cluster: Cluster, node_id: int, sql: str) -> str | None:
    """What one node answers to the drill's user."""
    dsn = Dsn.of(timescaledb.configuration(cluster)["timescaledb_dsn"])
    opening = Opening(dsn.conninfo(dsn.hosts[node_id - 1], "a test"))
    assert wait_until(opening.step, 10, 0.001), "no connection"
    session = Session(opening.pgconn)
    try:
        return session.query(sql, 10)[0][0]
    finally:
        session.close()


def leader_and_replica(cluster: Cluster) -> tuple[int, int]:
    standbys = {node: ask(cluster, node, "SELECT pg_is_in_recovery()") for node in (1, 2)}
    assert sorted(standbys.values(), key=str) == ["f", "t"]
    leader = next(node for node, standby in standbys.items() if standby == "f")
    return leader, 3 - leader


def postgres_processes(cluster: Cluster) -> list[int]:
    """Whatever runs in a node's data, found by no means of ours."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            where = os.readlink(f"/proc/{name}/cwd").removesuffix(" (deleted)")
        except OSError:
            continue
        if where in [node.data_dir for node in cluster.nodes] and identify(int(name)):
            found.append(int(name))
    return found


def segments(cluster: Cluster) -> set[str]:
    """The segments of shared memory that the nodes' servers have noted as theirs, and that are there."""
    files = [Path(node.pid_file) for node in cluster.nodes if node.pid_file]
    return {file.read_text().splitlines()[6].split()[1] for file in files} & known_segments()


def known_segments() -> set[str]:
    return {row.split()[1] for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def freeze_and_orphan(cluster: Cluster, leader: int) -> int:
    """Freeze what sends the leader's WAL, and kill its server alone: the frozen one does not notice."""
    frozen = int(str(ask(cluster, leader, "SELECT pid FROM pg_stat_replication")))
    os.kill(frozen, signal.SIGSTOP)
    server = cluster.node(leader).server
    assert server is not None
    send_signal(server, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(server), 10)
    return frozen


def all_gone() -> bool:
    return not supervision.living("timescaledb") and nodes.load("timescaledb") is None


def test_one_leads_the_other_streams_and_is_synchronous(timescaledb_lab: Cluster) -> None:
    leader, replica = leader_and_replica(timescaledb_lab)
    assert ask(timescaledb_lab, leader, "SHOW synchronous_standby_names") == f"node{replica}"
    states = "SELECT string_agg(application_name || ' ' || state || ' ' || sync_state, ',') FROM pg_stat_replication"
    assert ask(timescaledb_lab, leader, states) == f"node{replica} streaming sync"
    assert ask(timescaledb_lab, leader, "SHOW server_version").startswith("18.")  # type: ignore[union-attr]
    assert ask(timescaledb_lab, replica, "SELECT current_database() || ' ' || current_user") == "drill drill"


def test_status_shows_every_node_with_the_memory_of_its_server(timescaledb_lab: Cluster) -> None:
    shown = status("timescaledb")
    assert (shown["state"], shown["endpoint"]) == ("running", timescaledb_lab.endpoint)
    kinds = {seen["id"]: (seen["kind"], seen["state"]) for seen in shown["nodes"]}
    wanted = {1: "postgresql", 2: "postgresql", 3: "etcd", 4: "application"}
    assert kinds == {node: (kind, "running") for node, kind in wanted.items()}
    assert all(30 < seen["memory_mib"] < 400 for seen in shown["nodes"] if seen["kind"] == "postgresql")


def test_a_second_up_finds_the_first_and_other_options_are_refused(timescaledb_lab: Cluster) -> None:
    lines: list[str] = []
    assert lifecycle.up("timescaledb", owner=this_process(), progress=lines.append) == timescaledb_lab
    assert lines == ["found the timescaledb lab that runs"]
    with pytest.raises(UsageError, match=r"another patroni: {}, not {'ttl': 30}") as caught:
        lifecycle.up("timescaledb", {"patroni": {"ttl": 30}}, owner=this_process())
    assert "lab down timescaledb" in caught.value.hint


def test_passwords_are_in_files_of_this_user_and_nowhere_else(timescaledb_lab: Cluster) -> None:
    folder = nodes.cluster_dir("timescaledb")
    private = folder / "secrets"
    password = (private / "pgpass").read_text().splitlines()[0].rsplit(":", 1)[1]
    rest = (private / "rest").read_text().strip().partition(":")[2]
    staging = (private / "pgpass-application").read_text().splitlines()[0].rsplit(":", 1)[1]
    assert len({password, rest, staging}) == 3
    assert len(password) == len(rest) == len(staging) == 32
    assert {oct(path.stat().st_mode & 0o777) for path in private.iterdir() if path.is_file()} == {"0o600"}
    assert private.stat().st_mode & 0o077 == 0
    told = [str(timescaledb.configuration(timescaledb_lab)), (folder / "lab.json").read_text()]
    told += [path.read_text(errors="replace") for path in folder.glob("*.log")]
    for process in supervision.living("timescaledb"):
        told += [Path(f"/proc/{process.pid}/{name}").read_text(errors="replace") for name in ("cmdline", "environ")]
    assert [text for text in told if any(each in text for each in (password, rest, staging))] == []


def test_a_dead_postmaster_is_seen_and_started_again_by_patroni(timescaledb_lab: Cluster) -> None:
    _, replica = leader_and_replica(timescaledb_lab)
    node = timescaledb_lab.node(replica)
    before = node.server
    assert before is not None
    assert before != node.process
    assert ask(timescaledb_lab, replica, "SELECT pg_postmaster_start_time()") is not None
    send_signal(before, signal.SIGKILL)
    assert wait_until(lambda: node.server not in (None, before), 30), "Patroni has started no other"
    assert node.alive
    ready = wait_until(lambda: not timescaledb.awaited(timescaledb_lab), 60, 0.2)
    assert ready, timescaledb.awaited(timescaledb_lab)


def test_a_stale_pid_file_names_no_server(timescaledb_lab: Cluster, tmp_path: Path) -> None:
    node = timescaledb_lab.node(1)
    stale = tmp_path / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{node.data_dir}\n")
    node = nodes.Node(**{**vars(node), "pid_file": str(stale)})
    assert node.server is None
    stale.write_text("not a pid\n")
    assert node.server is None
    stale.unlink()
    assert node.server is None


def test_up_status_up_down_by_the_command_line(own_state: Path) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=200)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    port = base_port()
    options = ["--base-port", str(port), "--set", "work_mem=8MB", "--set", "log_statement=all"]
    options += ["--patroni", "synchronous_mode=false"]
    said = run("up", "timescaledb", *options)
    endpoint = f"127.0.0.1:{port},127.0.0.1:{port + 1}"
    assert f"The timescaledb lab runs at {endpoint}." in said
    assert re.search(rf"\n  timescaledb_dsn: postgresql://drill@{endpoint}/drill\?passfile=\S+/secrets/pgpass\n", said)
    cluster = nodes.load("timescaledb")
    assert cluster is not None
    leader, _ = leader_and_replica(cluster)
    assert ask(cluster, leader, "SHOW work_mem") == "8MB"
    assert ask(cluster, leader, "SHOW synchronous_standby_names") == ""
    logged = "".join(Path(node.log).read_text(errors="replace") for node in cluster.nodes)
    private = nodes.cluster_dir("timescaledb") / "secrets"
    passwords = [(private / name).read_text().split()[0].rsplit(":", 1)[1] for name in ("pgpass", "pgpass-application")]
    assert "SHOW work_mem" in logged, "it logs no statements"
    assert [each for each in passwords if each in logged] == []
    assert "another settings" in run("up", "timescaledb", "--set", "work_mem=9MB", code=64)
    assert "Patroni" not in run("up", "kafka", "--patroni", "ttl", code=64)
    assert len(postgres_processes(cluster)) > 10
    shared = segments(cluster)
    assert len(shared) == 2
    mapped = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in postgres_processes(cluster))
    assert "/dev/shm/" not in mapped
    frozen = freeze_and_orphan(cluster, leader)
    assert frozen in postgres_processes(cluster)
    assert run("down", "timescaledb") == "The timescaledb lab has ended.\n"
    assert postgres_processes(cluster) == []
    assert not shared & known_segments()
    assert all_gone()
    assert sorted(path.name for path in nodes.cluster_dir("timescaledb").iterdir() if path.is_dir()) == []


def test_when_its_owner_is_killed_the_lab_ends(own_state: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNED, str(base_port())], stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "up\n"
            cluster = nodes.load("timescaledb")
            assert cluster is not None
            assert len(postgres_processes(cluster)) > 10
        finally:
            owner.kill()
    assert wait_until(all_gone, 20), f"left: {supervision.living('timescaledb')}"
    assert postgres_processes(cluster) == []


@pytest.mark.parametrize("moment", ["initdb", "etcd"])
def test_ctrl_c_in_the_middle_of_a_start_leaves_nothing(own_state: Path, moment: str) -> None:
    process = subprocess.Popen(
        [*COMMAND, "up", "timescaledb", "--base-port", str(base_port())],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    folder = nodes.cluster_dir("timescaledb")

    def there() -> bool:
        if moment == "etcd":
            return (folder / "node-3").exists()
        return any((folder / f"node-{node}" / "PG_VERSION").exists() for node in (1, 2))

    assert wait_until(there, 60, 0.001), "nothing was started"
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "Interrupted.\n")
    assert all_gone()


def test_a_bad_setting_ends_the_start_and_leaves_nothing(own_state: Path) -> None:
    options = {"base_port": base_port(), "settings": {"max_wal_size": "huge"}}
    with pytest.raises(UsageError, match='does not take these settings: invalid value for parameter "max_wal_size"'):
        lifecycle.up("timescaledb", options)
    assert all_gone()
    options["settings"] = {"shared_buffers": "7TB"}
    with pytest.raises(UnavailableError, match=r"(?s)ended while it started\..*(memory|map)"):
        lifecycle.up("timescaledb", options)
    assert all_gone()


@pytest.mark.parametrize("offset", [21, application_node.OFFSET])
def test_a_taken_port_is_named_with_its_holder(own_state: Path, offset: int) -> None:
    port = base_port()
    listening = (
        "import socket, sys, signal; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(flush=True)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{listening}; signal.pause()", str(port + offset)], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(
            UnavailableError, match=f"port {port + offset} .* is taken by process {holder.pid} "
        ) as caught:
            lifecycle.up("timescaledb", {"base_port": port})
        assert "--base-port" in caught.value.hint
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.skipif(not Path(OTHER).is_dir(), reason=f"NO OTHER POSTGRESQL: {OTHER} is not there")
def test_another_postgresql_can_be_taken(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BINDIR, OTHER)
    cluster = lifecycle.up("timescaledb", {"base_port": base_port()}, owner=this_process())
    try:
        leader, _ = leader_and_replica(cluster)
        assert ask(cluster, leader, "SHOW server_version").startswith("15.")  # type: ignore[union-attr]
    finally:
        assert lifecycle.down("timescaledb")


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: it runs plainly in every test")
def test_who_is_not_root_runs_it_plainly(own_state: Path, tmp_path: Path) -> None:
    prefix = ["unshare", "--user", "--map-user=1", "--map-group=1"]
    with subprocess.Popen(
        [*prefix, sys.executable, "-c", OWNED, str(base_port())], stdout=subprocess.PIPE, text=True
    ) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "up\n"
            cluster = nodes.load("timescaledb")
            assert cluster is not None
            assert cluster.node(1).argv[0] == sys.executable
            servers = [node.process for node in cluster.nodes]
        finally:
            owner.kill()
    assert wait_until(all_gone, 20), f"left: {supervision.living('timescaledb')}"
    assert not any(is_alive(it) for it in servers if it)


def test_a_file_of_before_there_were_kinds_can_be_read(timescaledb_lab: Cluster, own_state: Path) -> None:
    text = json.loads(json.dumps({"version": 1, **_plain(timescaledb_lab)}))
    for node in text["nodes"]:
        del node["kind"], node["pid_file"]
    (nodes.cluster_dir("timescaledb") / "lab.json").write_text(json.dumps(text))
    found = nodes.load("timescaledb")
    (nodes.cluster_dir("timescaledb") / "lab.json").unlink()
    assert found is not None
    assert [(node.kind, node.pid_file, node.server) for node in found.nodes] == [
        ("", "", node.process) for node in timescaledb_lab.nodes
    ]


def _plain(cluster: Cluster) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(cluster)
