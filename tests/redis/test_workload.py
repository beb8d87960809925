"""The Redis workload on real servers: what it records, and what the read-back finds."""

import signal
from typing import Any

import numpy as np
import pytest
import redis

from chaosdrills.core.history import NO_SEQ, NS, Outcome
from chaosdrills.core.judge import Limits, judge
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.host.processes import wait_until
from chaosdrills.observe.payload import Seal, filler
from chaosdrills.redis.finding import PRIMARY, Client
from chaosdrills.redis.url import RedisUrl
from chaosdrills.redis.workload import RedisWorkload
from tests.observe.observed import Observed
from tests.redis.conftest import StartDrill
from tests.redis.servers import Group, Start

pytestmark = pytest.mark.lab


def at_primary(url: str) -> redis.Redis:
    """A client of one's own, of whoever leads."""
    session = Client(RedisUrl.of(url), "test").find(PRIMARY, 20, patient=True)
    session.close()
    host, _, port = session.address.rpartition(":")
    return redis.Redis(host, int(port), decode_responses=True)


def key(drill: Observed, stream: int, seq: int) -> str:
    return f"chaosdrills:{drill.drill_id}:l:{stream}:{seq}"


def value(drill: Observed, stream: int, seq: int) -> str:
    """A whole one."""
    return f"{seq} {Seal(drill.drill_id, stream, filler(100)).of(str(seq).encode()).decode()} {filler(100)}"


def figures(drill: Observed) -> dict[str, Any]:
    return judge(drill.history, Limits(), Parameters(stable_s=1, baseline_s=2, watch_s=1)).as_dict()


def failed(result: dict[str, Any]) -> list[str]:
    return [check["name"] for check in result["checks"] if not check["ok"]]


def keys_of(client: redis.Redis, drill: Observed) -> list[str]:
    return list(client.scan_iter(f"chaosdrills:{drill.drill_id}:*"))


def test_a_healthy_run(url: str, start_drill: StartDrill) -> None:
    drill = start_drill(url)
    drill.wait_acked(400)
    drill.session.mark("fault_begin", "nothing")
    result = drill.finish()

    history = drill.history
    assert result["acked"] == result["sent"] == len(history.writes)
    assert failed(result) == []
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
    assert (facts["acknowledgement"], facts["by"], facts["replicas"], facts["aof"]) == ("reply", "sentinel", 2, True)
    assert "127.0.0.1" not in str(facts)
    assert "stream 7 writes to " in drill.log
    assert "(a replica)" in drill.log
    assert keys_of(at_primary(url), drill) == [], "they are removed"


def test_planted_keys_are_found_for_what_they_are(url: str, start_drill: StartDrill) -> None:
    drill, client = start_drill(url, connections=2, keep_keys=True), at_primary(url)
    drill.wait_acked(50)
    never, theirs = 1_000_000, "chaosdrills-is-not:ours"
    client.set(theirs, "kept")
    assert client.delete(*(key(drill, 0, seq) for seq in (2, 7, 9))) == 3
    planted = {
        key(drill, 1, 3): value(drill, 1, 3)[:-1] + "!",
        key(drill, 1, 4): value(drill, 1, 5),
        key(drill, 1, never): value(drill, 1, never),
        key(drill, 7, 0): value(drill, 7, 0),
        f"chaosdrills:{drill.drill_id}:r:1": value(drill, 1, 1),
        f"chaosdrills:{drill.drill_id}:else": "",
    }
    client.mset(planted)
    drill.wait_acked(50)
    result = drill.finish()
    assert client.get(theirs) == "kept"
    client.delete(theirs, *keys_of(client, drill))

    found, acked = drill.survivors(), drill.written(Outcome.OK)
    assert found[0] == sorted(acked[0] - {2, 7, 9})
    assert found[1] == sorted([NO_SEQ, NO_SEQ, never, *(acked[1] - {3, 4})])
    assert (result["findings"]["foreign"], result["findings"]["damaged"]) == (3, 2)
    judged = figures(drill)
    assert (judged["lost"], judged["unexpected"], judged["duplicated"], judged["reordered"]) == (5, 3, 0, 0)


def test_wait_below_n_is_unknown(group: Group, start_drill: StartDrill) -> None:
    drill = start_drill(group.url, acknowledgement="WAIT 2", wait_timeout_s=0.2, connections=4, rate_per_s=40)
    drill.wait_acked(40)
    follower = group.replicas[0]
    follower.signal(signal.SIGSTOP)
    try:
        assert wait_until(lambda: drill.session.snapshot()["unknown"] >= 8, 20), drill.session.snapshot()
    finally:
        follower.signal(signal.SIGCONT)
    drill.wait_acked(40)
    result = drill.finish()
    unknown, found = drill.written(Outcome.UNKNOWN), drill.survivors()
    assert result["unknown"] >= 8
    assert all(seqs <= set(found[stream]) for stream, seqs in unknown.items()), "they are applied all the same"
    assert (figures(drill)["lost"], result["failed"]) == (0, 0)
    assert drill.history.header["acknowledgement"] == "WAIT 2"


def test_waitaof_acknowledges_what_is_on_disk(url: str, start_drill: StartDrill) -> None:
    drill = start_drill(url, acknowledgement="WAITAOF 1 1", wait_timeout_s=1.5, answer_timeout_s=5, rate_per_s=20)
    drill.wait_acked(60)
    result = drill.finish()
    assert (result["failed"], figures(drill)["lost"]) == (0, 0)


@pytest.mark.parametrize("acknowledgement", ["WAIT 3", "WAITAOF 0 3"])
def test_what_nobody_can_confirm_is_told_at_once(url: str, start_drill: StartDrill, acknowledgement: str) -> None:
    with pytest.raises(UnavailableError, match=rf"{acknowledgement} is answered with .* no write could be"):
        start_drill(url, acknowledgement=acknowledgement)


def test_an_aof_that_is_off_is_told_at_once(start: Start, start_drill: StartDrill) -> None:
    server = start()
    with pytest.raises(UnavailableError, match=r"refuses WAITAOF: WAITAOF cannot be used when numlocal is set"):
        start_drill(f"redis://{server.address}", acknowledgement="WAITAOF 1 0")


def test_a_killed_primary_is_left_for_the_new_one(start: Start, start_drill: StartDrill) -> None:
    group = Group(start)
    drill = start_drill(group.url, rate_per_s=400, keep_keys=True)
    drill.wait_acked(1600)
    drill.session.mark("fault_begin", "kill")
    group.primary.kill()
    drill.session.mark("fault_end")
    drill.wait_acked(800)
    result = drill.finish()
    assert result["findings"]["servers"] == 2
    assert result["findings"]["connections_lost"] >= 8
    assert failed(result) == []
    judged = figures(drill)
    there, acked = set(keys_of(at_primary(group.url), drill)), drill.written(Outcome.OK)
    missing = sum(key(drill, stream, seq) not in there for stream, seqs in acked.items() for seq in seqs)
    assert judged["lost"] == missing < 40, "more than 0.1 s of what was acknowledged did not reach the replicas"
    assert judged["baseline_per_s"] == 400
    assert 1 < judged["first_success_s"] < 30


def test_clients_that_stay_at_the_old_address_lose_what_they_write_there(start: Start, start_drill: StartDrill) -> None:
    """The old primary wakes up, and is written to until it is demoted."""
    group = Group(start)
    drill = start_drill(group.url, connections=4, old_connections=2, rate_per_s=300, keep_keys=True)
    drill.wait_acked(300)
    old = group.primary
    drill.session.mark("fault_begin", "pause")
    old.signal(signal.SIGSTOP)
    drill.session.mark("fault_end")
    leads = Client(RedisUrl.of(group.url), "test")
    assert wait_until(lambda: leads.find(PRIMARY, 5, patient=True).address != old.address, 30)
    old.signal(signal.SIGCONT)
    assert wait_until(lambda: old.client().role()[0] == "slave", 60), "it is demoted"
    drill.wait_acked(100)
    result = drill.finish()

    history, judged = drill.history, figures(drill)
    assert history.streams == ("0", "1", "2", "3", "old-0", "old-1")
    there = set(keys_of(at_primary(group.url), drill))
    acked = drill.written(Outcome.OK)
    lost = {stream: sum(key(drill, stream, seq) not in there for seq in seqs) for stream, seqs in acked.items()}
    assert judged["lost"] == sum(lost.values())
    assert [lost[stream] for stream in range(4)] == [0, 0, 0, 0]
    assert min(lost[4], lost[5]) > 10, "written between its waking up and its demotion"
    assert judged["rpo_actual_s"] > 0.5
    assert result["findings"]["two_primaries_s"] > 0


def test_a_server_that_says_nothing_is_given_up(start: Start, start_drill: StartDrill) -> None:
    server = start()
    drill = start_drill(f"redis://{server.address}", answer_timeout_s=1.0, pipeline=4, rate_per_s=200)
    drill.wait_acked(100)
    server.signal(signal.SIGSTOP)
    try:
        assert wait_until(lambda: drill.session.snapshot()["unknown"] >= 32, 20), drill.session.snapshot()
    finally:
        server.signal(signal.SIGCONT)
    drill.wait_acked(100)
    result = drill.finish()
    assert "no answer for 1 s" in drill.log
    assert result["failed"] > 0
    assert (figures(drill)["lost"], len(drill.survivors())) == (0, 8)


def test_flushall_is_counted_and_told(start: Start, start_drill: StartDrill) -> None:
    server = start()
    drill = start_drill(f"redis://{server.address}", read_from="primary", rate_per_s=200)
    drill.wait_acked(200)
    assert wait_until(lambda: server.client().info()["connected_clients"] >= 10, 10), "the watcher has looked"
    drill.session.mark("fault_begin", "flush")
    server.client().flushall()
    flushed_ns = drill.clock_ns()
    drill.session.mark("fault_end")
    drill.wait_acked(200)
    result = drill.finish()
    judged, writes = figures(drill), drill.history.writes
    surely = writes.completed_ns < flushed_ns - NS // 10
    assert judged["lost"] >= int(surely.sum())
    assert judged["lost"] <= int((writes.invoked_ns < flushed_ns).sum())
    assert failed(result) == ["nothing was flushed"]
    assert result["findings"]["flushes"] == 1


def test_eviction_is_not_taken_for_loss(start: Start, start_drill: StartDrill) -> None:
    server = start("maxmemory 3mb", "maxmemory-policy allkeys-lru")
    drill = start_drill(
        f"redis://{server.address}", read_from="nothing", payload_bytes=4000, connections=2, rate_per_s=400
    )
    assert wait_until(lambda: int(server.client().info()["evicted_keys"]) > 50, 60)
    result = drill.finish()
    assert failed(result) == ["nothing was evicted", "read back"]
    assert figures(drill)["lost"] is None
    assert "evicted" in next(check["detail"] for check in result["checks"] if check["name"] == "read back")


def test_keys_that_expire_are_not_taken_for_loss(start: Start, start_drill: StartDrill) -> None:
    server = start()
    drill = start_drill(f"redis://{server.address}", rate_per_s=100)
    drill.wait_acked(50)
    server.client().expire(key(drill, 0, 0), 1000)
    result = drill.finish()
    assert failed(result) == ["read back"]
    assert figures(drill)["lost"] is None


def test_a_full_memory_is_told(start: Start, start_drill: StartDrill) -> None:
    server = start()
    server.client().set("fill", "x" * 3_000_000)
    server.client().config_set("maxmemory", "2mb")
    with pytest.raises(UnavailableError, match=r"refuses SET: .*used memory > 'maxmemory'") as told:
        start_drill(f"redis://{server.address}")
    assert "make room" in told.value.hint


def test_two_primaries_of_a_list_are_no_read_back(start: Start, start_drill: StartDrill) -> None:
    one, other = start(), start()
    drill = start_drill(f"redis://{one.address},{other.address}", read_from="primary", rate_per_s=100)
    drill.wait_acked(50)
    result = drill.finish()
    assert failed(result) == ["read back"]
    assert "two primaries at once" in next(it["detail"] for it in result["checks"] if it["name"] == "read back")


def test_a_list_finds_who_leads(start: Start, start_drill: StartDrill) -> None:
    primary = start()
    replica = start(f"replicaof 127.0.0.1 {primary.port}")
    assert wait_until(lambda: replica.client().info()["master_link_status"] == "up", 20)
    drill = start_drill(f"redis://{replica.address},{primary.address}", rate_per_s=200)
    drill.wait_acked(100)
    assert failed(drill.finish()) == []
    assert f"stream 0 writes to {primary.address}" in drill.log


def test_a_killed_observer_leaves_its_keys_as_evidence(url: str, start_drill: StartDrill) -> None:
    drill = start_drill(url)
    drill.wait_acked(100)
    drill.session.close()
    client = at_primary(url)
    left = keys_of(client, drill)
    assert len(left) >= 100
    client.delete(*left)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no url": ({}, "was given no url"),
    "another name": ({"url": "redis://x", "conections": 3}, "did you mean connections"),
    "kind": ({"url": "redis://x", "kind": "log"}, "kind is 'log'"),
    "acknowledgement": ({"url": "redis://x", "acknowledgement": "WAIT"}, "the acknowledgement is 'WAIT'"),
    "nothing": ({"url": "redis://x", "acknowledgement": "WAIT 0"}, "promises nothing"),
    "aof": ({"url": "redis://x", "acknowledgement": "WAITAOF 2 0"}, "promises nothing"),
    "old registers": ({"url": "redis://x", "kind": "register", "old_connections": 1}, "old_connections are for"),
    "too many": ({"url": "redis://x", "connections": 400, "old_connections": 200}, "600 connections are too many"),
    "secrets": ({"url": "redis://x", "secrets": {"pasword": "hush"}}, "did you mean password"),
    "payload": ({"url": "redis://x", "payload_bytes": 2_000_000}, "too large"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name: str) -> None:
    given, message = BAD[name]
    with pytest.raises(UsageError) as told:
        RedisWorkload("d1", given)
    assert message in str(told.value)
    assert "hush" not in str(told.value)
