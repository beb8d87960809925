"""A real Redis primary, two replicas and three sentinels: up, found again, hurt, healed, and ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster, start_node
from chaosdrills.host.processes import is_alive, is_paused, send_signal, this_process, wait_until
from chaosdrills.lab import lifecycle, redis, supervision
from chaosdrills.lab.redis_programs import SERVER, find_program
from chaosdrills.lab.status import status
from chaosdrills.redis.way import way_of
from tests.conftest import REDIS_OFFSETS, free_base_port
from tests.lab.redis_nodes import ask, primary, primary_by, role, wait_whole

pytestmark = pytest.mark.lab

OTHER = "/usr/bin/redis-check-rdb"  # which is a Redis server, too, in Debian's package redis-tools
COMMAND = [sys.executable, "-c", "from chaosdrills.cli.main import main; main()", "lab"]
OWNED = (
    "import sys, signal; from chaosdrills.host.processes import this_process; from chaosdrills.lab import lifecycle; "
    "lifecycle.up('redis', {'base_port': int(sys.argv[1])}, owner=this_process()); print('up', flush=True); "
    "signal.pause()"
)


def base_port() -> int:
    return free_base_port(REDIS_OFFSETS)


def all_gone() -> bool:
    return not supervision.living("redis") and nodes.load("redis") is None


@pytest.fixture
def own_lab(own_state: Path) -> Iterator[Cluster]:
    """A lab for one test, to be hurt."""
    yield lifecycle.up("redis", {"base_port": base_port()}, owner=this_process())
    assert lifecycle.down("redis")


def test_one_leads_two_follow_and_three_sentinels_know_it(redis_lab: Cluster) -> None:
    leads = primary(redis_lab)
    followers = [node for node in (1, 2, 3) if node != leads]
    assert [role(redis_lab, node) for node in followers] == ["slave", "slave"]
    assert {primary_by(redis_lab, node) for node in (4, 5, 6)} == {redis_lab.node(leads).endpoint}
    assert ask(redis_lab, 4, "SENTINEL", "CKQUORUM", "drill").startswith(b"OK 3 usable Sentinels")
    assert ask(redis_lab, leads, "CONFIG", "GET", "appendonly") == [b"appendonly", b"yes"]


def test_the_client_of_drills_finds_the_primary_by_its_configuration(redis_lab: Cluster) -> None:
    client = way_of(redis.configuration(redis_lab), None)
    session = client.find("primary", 5)
    try:
        assert session.address == redis_lab.node(primary(redis_lab)).endpoint
    finally:
        session.close()
    assert redis.addresses(redis.configuration(redis_lab)["redis_url"]) == {
        redis_lab.node(node).endpoint for node in (4, 5, 6)
    }
    assert redis_lab.endpoint.split(",") == [redis_lab.node(node).endpoint for node in (4, 5, 6, 1, 2, 3)]


def test_status_shows_every_node(redis_lab: Cluster) -> None:
    shown = status("redis")
    assert (shown["state"], shown["endpoint"]) == ("running", redis_lab.endpoint)
    kinds = {seen["id"]: (seen["kind"], seen["state"]) for seen in shown["nodes"]}
    assert kinds == {node: ("redis" if node < 4 else "sentinel", "running") for node in range(1, 7)}
    assert all(1 <= seen["memory_mib"] < 60 for seen in shown["nodes"])


def test_a_second_up_finds_the_first_and_other_options_are_refused(redis_lab: Cluster) -> None:
    lines: list[str] = []
    assert lifecycle.up("redis", owner=this_process(), progress=lines.append) == redis_lab
    assert lines == ["found the redis lab that runs"]
    with pytest.raises(UsageError, match=r"another persistence: aof, not none\.") as caught:
        lifecycle.up("redis", {"persistence": "none"}, owner=this_process())
    assert "lab down redis" in caught.value.hint


def test_a_killed_primary_is_replaced_and_comes_back_as_a_replica(own_lab: Cluster) -> None:
    ask(own_lab, 1, "SET", "a", "before")
    old = own_lab.node(1).process
    assert old is not None
    send_signal(old, signal.SIGKILL)
    assert wait_until(lambda: "master" in (role(own_lab, 2), role(own_lab, 3)), 30), "nobody was promoted"
    leads = primary(own_lab)
    ask(own_lab, leads, "SET", "a", "after")
    assert start_node("redis", 1)
    assert wait_until(lambda: role(own_lab, 1) == "master", 10), "it does not come back as what it was"
    assert ask(own_lab, 1, "GET", "a") == b"before"
    wait_whole(own_lab)
    assert (role(own_lab, 1), ask(own_lab, 1, "GET", "a")) == ("slave", b"after")
    seen = "".join(Path(own_lab.node(node).log).read_text() for node in (4, 5, 6))
    new = own_lab.node(leads).endpoint.replace(":", " ")
    assert f"+sdown master drill {new}" not in seen, "the new primary was held for down before it was asked"
    again = nodes.load("redis")
    assert again is not None
    for node in again.nodes:  # all at once: each comes back as what it was last, by what was written for it
        assert node.process is not None
        send_signal(node.process, signal.SIGKILL)
    assert wait_until(lambda: not any(node.alive for node in again.nodes), 10)
    for node in again.nodes:
        assert start_node("redis", node.id)
    wait_whole(own_lab)
    assert (primary(own_lab), ask(own_lab, leads, "GET", "a")) == (leads, b"after")


def test_a_frozen_primary_wakes_as_one_and_is_demoted(own_lab: Cluster) -> None:
    frozen = own_lab.node(1).process
    assert frozen is not None
    send_signal(frozen, signal.SIGSTOP)
    assert wait_until(lambda: is_paused(frozen), 10)
    assert wait_until(lambda: "master" in (role(own_lab, 2), role(own_lab, 3)), 30), "nobody was promoted"
    send_signal(frozen, signal.SIGCONT)
    assert role(own_lab, 1) == "master"
    wait_whole(own_lab)
    assert role(own_lab, 1) == "slave"


def test_a_dead_sentinel_comes_back_with_what_it_knew(own_lab: Cluster) -> None:
    process = own_lab.node(5).process
    assert process is not None
    send_signal(process, signal.SIGTERM)
    assert wait_until(lambda: not is_alive(process), 10)
    assert wait_until(
        lambda: "2 other sentinels" in redis.awaited(own_lab) or "sentinel 5" in redis.awaited(own_lab), 20
    )
    assert start_node("redis", 5)
    wait_whole(own_lab)
    ask(own_lab, 4, "SENTINEL", "FAILOVER", "drill")
    assert wait_until(lambda: role(own_lab, 1) == "slave", 30), "it was not demoted"
    wait_whole(own_lab)


def test_up_status_up_down_by_the_command_line(own_state: Path) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=200)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    port = base_port()
    options = ["--set", "min-replicas-to-write=1", "--sentinel", "down-after-milliseconds=5000", "--persistence", "rdb"]
    said = run("up", "redis", "--base-port", str(port), *options)
    sentinels = ",".join(f"127.0.0.1:{port + offset}" for offset in (20, 21, 22))
    assert f"\n  redis_url: redis+sentinel://{sentinels}/drill\n" in said
    cluster = nodes.load("redis")
    assert cluster is not None
    assert ask(cluster, 2, "CONFIG", "GET", "min-replicas-to-write")[1] == b"1"
    assert ask(cluster, 2, "CONFIG", "GET", "save")[1] == b"3600 1 300 100 60 10000"
    assert b"5000" in ask(cluster, 6, "SENTINEL", "MASTER", "drill")
    assert "another settings" in run("up", "redis", "--set", "min-replicas-to-write=2", code=64)
    assert "the Kafka lab has no option 'acl'" in run("up", "kafka", "--acl", code=64)
    assert "the timescaledb lab has no option 'sentinel'" in run("up", "timescaledb", "--sentinel", "quorum=2", code=64)
    assert "--sentinel 'quorum' is not NAME=VALUE" in run("up", "redis", "--sentinel", "quorum", code=64)
    assert "for example, --set min-replicas-to-write=1." in run("up", "redis", "--set", "appendfsync", code=64)
    assert "another acl: none, not yes." in run("up", "redis", *options, "--acl", code=64)
    assert "the redis lab has no option 'patroni'" in run("up", "redis", "--patroni", "ttl=30", code=64)
    assert f"redis: running at {cluster.endpoint}\n" in run("status")
    assert run("down", "redis") == "The redis lab has ended.\n"
    assert all_gone()
    assert [path for path in nodes.cluster_dir("redis").iterdir() if path.is_dir()] == []
    assert f"Valkey 9.1.2, {find_program().path}\n" in run("prepare", "redis")


def test_when_its_owner_is_killed_the_lab_ends(own_state: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNED, str(base_port())], stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "up\n"
            cluster = nodes.load("redis")
            assert cluster is not None
            before = [node.process for node in cluster.nodes if node.process is not None]
            assert len(before) == 6
        finally:
            owner.kill()
    assert wait_until(all_gone, 20), f"left: {supervision.living('redis')}"
    assert not any(is_alive(it) for it in before)


def test_ctrl_c_in_the_middle_of_a_start_leaves_nothing(own_state: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "up", "redis", "--base-port", str(base_port())],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert wait_until(lambda: (nodes.cluster_dir("redis") / "node-2.log").exists(), 60, 0.001), "nothing was started"
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "Interrupted.\n")
    assert all_gone()


@pytest.mark.parametrize("offset", [2, 21])
def test_a_taken_port_is_named_with_its_holder(own_state: Path, offset: int) -> None:
    port = base_port()
    listening = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(flush=True)"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{listening}; sys.stdin.read()", str(port + offset)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(
            UnavailableError, match=f"port {port + offset} .* is taken by process {holder.pid} "
        ) as caught:
            lifecycle.up("redis", {"base_port": port})
        assert "--base-port" in caught.value.hint
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"settings": {"min-replicas-max-lag": "soon"}}, "these settings: 'min-replicas-max-lag soon': argument"),
        ({"settings": {"no-such-thing": 1}}, "these settings: 'no-such-thing 1': Bad directive"),
        ({"settings": {"maxmemory-policy": "all"}}, "argument\\(s\\) must be one of the following: volatile-lru"),
        ({"settings": {"loadmodule": "/nowhere.so"}}, "Can't load module from /nowhere.so"),
    ],
)
def test_what_the_server_does_not_take_is_refused_in_its_own_words(
    own_state: Path, options: dict[str, object], why: str
) -> None:
    with pytest.raises(UsageError, match=r"Valkey 9\.1\.2 does not take .*" + why):
        lifecycle.up("redis", {"base_port": base_port(), **options})
    assert all_gone()


@pytest.mark.skipif(not Path(OTHER).is_file(), reason=f"NO OTHER REDIS: {OTHER} is not there (redis-tools)")
def test_another_server_can_be_taken(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER, OTHER)
    cluster = lifecycle.up("redis", {"base_port": base_port()}, owner=this_process())
    try:
        assert b"\r\nredis_version:7." in ask(cluster, 1, "INFO", "server")
        assert b"\r\nredis_version:7." in ask(cluster, 4, "INFO", "server")
        assert len(supervision.living("redis")) == 7, "nodes, and the guard"
    finally:
        assert lifecycle.down("redis")
