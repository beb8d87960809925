"""What probes say of real servers and sentinels, whole and hurt."""

import signal

import pytest
from chaoslib.exceptions import ActivityFailed

from chaosdrills.host.processes import wait_until
from chaosdrills.redis import probes
from tests.redis.servers import Group, Process, Start

pytestmark = pytest.mark.lab

CLUSTER = {"whole": True, "servers": 3, "silent": 0, "primaries": 1, "replicas": 2, "sentinels": 3}


def way(group: Group) -> dict[str, str]:
    return {"redis_url": group.url}


def at(server: Process, db: int = 0) -> dict[str, str]:
    return {"redis_url": f"redis://{server.address}/{db}"}


def test_a_whole_redis_is_told_by_every_probe(group: Group) -> None:
    configured, leads = way(group), group.primary.address
    assert probes.cluster_whole(configured) == {**CLUSTER, "silent_sentinels": 0, "lacks": ""}
    assert probes.primary(configured) == {"primary": 1, "address": leads, "primaries": 1}
    assert probes.role(1, configured) == {"role": "primary", "replica": False, "linked": False, "follows": ""}
    assert probes.role(3, configured) == {"role": "replica", "replica": True, "linked": True, "follows": leads}
    lag = probes.replication_lag(configured)
    assert (lag["replicas"], lag["online"]) == (2, 2)
    assert lag["worst"] in [it.address for it in group.replicas]
    assert 0 <= lag["lag_bytes"] < 10_000
    quorum = {"quorum": True, "sentinels": 3, "answering": 3, "seeing_quorum": 3, "agreeing": 3, "needed": 2}
    assert probes.sentinel_quorum(configured) == {**quorum, "leader": leads}
    assert probes.failovers(configured) == {"epoch": 0, "under_way": 0, "agreeing": 3, "leader": leads}
    with pytest.raises(ActivityFailed, match="there is no server 4"):
        probes.role(4, configured)
    servers = {"redis_url": f"redis://{','.join(it.address for it in group.servers)}"}
    whole = {**CLUSTER, "sentinels": 0, "silent_sentinels": 0, "lacks": ""}
    assert probes.cluster_whole(servers) == whole
    for probe in (probes.sentinel_quorum, probes.failovers):
        with pytest.raises(ActivityFailed, match="names no sentinels"):
            probe(servers)


def test_a_lost_replica_and_lost_sentinels_are_seen(group: Group) -> None:
    configured, lost = way(group), group.replicas[1]
    lost.kill()
    seen = probes.cluster_whole(configured)
    assert (seen["whole"], seen["silent"], seen["replicas"], seen["primaries"]) == (False, 1, 1, 1)
    assert f"{lost.address} says: connection refused" in seen["lacks"]
    with pytest.raises(ActivityFailed, match=f"{lost.address} says: connection refused"):
        probes.role(3, configured)
    lost.start()
    assert wait_until(lambda: probes.cluster_whole(configured)["whole"], 30, 0.1), probes.cluster_whole(configured)
    for one in group.sentinels[:2]:
        one.kill()
    seen = probes.cluster_whole(configured)
    assert (seen["whole"], seen["sentinels"], seen["silent_sentinels"]) == (False, 3, 2)
    assert f"{group.sentinels[0].address} (sentinel) says: connection refused" in seen["lacks"]
    assert not probes.sentinel_quorum(configured)["quorum"]  # one alone is none, though it may not know that yet
    assert wait_until(lambda: not probes.sentinel_quorum(configured)["seeing_quorum"], 30, 0.1)
    assert "sees no quorum: NOQUORUM" in probes.cluster_whole(configured)["lacks"]
    group.sentinels[2].kill()
    with pytest.raises(ActivityFailed, match="no sentinel answers"):
        probes.failovers(configured)
    with pytest.raises(ActivityFailed, match="0 servers take writes, not one"):
        probes.memory(configuration=configured)


def test_an_old_primary_is_a_second_one_until_it_is_demoted(group: Group) -> None:
    configured, old = way(group), group.primary
    old.signal(signal.SIGSTOP)
    assert wait_until(lambda: probes.primary(configured)["primaries"] == 1, 30, 0.1)
    promoted = probes.primary(configured)["address"]
    assert promoted != old.address
    old.signal(signal.SIGCONT)
    seen = probes.cluster_whole(configured)
    assert (seen["whole"], seen["primaries"], seen["replicas"]) == (False, 2, 0)
    assert "two primaries at once" in seen["lacks"]
    assert wait_until(lambda: probes.cluster_whole(configured)["whole"], 40, 0.1), probes.cluster_whole(configured)
    assert probes.role(1, configured)["follows"] == promoted
    after = probes.failovers(configured)
    assert (after["epoch"], after["agreeing"], after["leader"]) == (1, 3, promoted)


def test_a_replica_that_follows_somebody_else_or_nobody_is_not_whole(start: Start, flavour: str) -> None:
    ours, other = start(flavour=flavour), start(flavour=flavour)
    follows = start(f"replicaof 127.0.0.1 {other.port}", flavour=flavour)
    both = {"redis_url": f"redis://{ours.address},{follows.address}"}
    assert wait_until(lambda: probes.role(2, both)["linked"], 20, 0.1)
    assert f"{follows.address} follows {other.address}, who is not it" in probes.cluster_whole(both)["lacks"]
    other.kill()
    assert wait_until(lambda: not probes.role(2, both)["linked"], 20, 0.1)
    assert f"{follows.address} has no link to {other.address}" in probes.cluster_whole(both)["lacks"]
    follows.client().replicaof("127.0.0.1", ours.port)
    assert wait_until(lambda: probes.cluster_whole(both)["whole"], 20, 0.1), probes.cluster_whole(both)


def test_a_server_named_twice_is_one(start: Start) -> None:
    server = start()
    twice = {"redis_url": f"redis://{server.address},localhost:{server.port}"}
    assert probes.primary(twice)["primaries"] == 1


def test_the_keys_of_a_prefix_are_counted_and_their_ends_sampled(start: Start, flavour: str) -> None:
    server = start(flavour=flavour)
    client = server.client(db=3)
    client.mset({f"one*two:{number}": "" for number in range(2500)} | {"oneXtwo": "", "other": ""})
    assert probes.keys(configuration=at(server)) == {**NO_ENDS, "keys": 0, "all": 0, "sampled": 0, "endless": 0}
    found = probes.keys("one*two:", 3000, configuration=at(server, 3))
    assert found == {**NO_ENDS, "keys": 2500, "all": 2502, "sampled": 2500, "endless": 2500}
    client.expire("other", 1000)
    client.expire("oneXtwo", 2000)
    found = probes.keys("o", 3000, configuration=at(server, 3))
    assert (found["sampled"], found["endless"]) == (2502, 2500)
    assert 900 < found["shortest_s"] <= 1000 < 1900 < found["longest_s"] <= 2000
    assert probes.keys("one", 7, configuration=at(server, 3))["sampled"] == 7
    client.mset({f"more:{number}": "" for number in range(20_000)})
    with pytest.raises(ActivityFailed, match="the keys were not read in time"):
        probes.keys("more", 0, 1e-6, configuration=at(server, 3))


NO_ENDS = {"shortest_s": -1.0, "longest_s": -1.0}


def test_memory_evictions_and_expiry_are_counted(start: Start, flavour: str) -> None:
    server = start("maxmemory 3mb", "maxmemory-policy allkeys-lru", flavour=flavour)
    client, configured = server.client(), at(server)
    before = probes.evictions(configuration=configured)
    assert (before["evicted"], before["expired"]) == (0, 0)
    client.set("soon", "gone", px=1)
    assert wait_until(lambda: probes.evictions(configuration=configured)["expired"] == 1, 20, 0.05)
    for number in range(400):
        client.set(f"key:{number}", "x" * 10_000)
    assert probes.evictions(1, configured)["evicted"] > 50
    seen = probes.memory(configuration=configured)
    assert (seen["max_bytes"], seen["policy"]) == (3 << 20, "allkeys-lru")
    assert 0.5 < seen["used_ratio"] < 1.1
    assert seen["rss_bytes"] > 1 << 20
    assert seen["fragmentation"] > 0


def test_the_last_save_is_told_by_its_age_and_outcome(start: Start, flavour: str) -> None:
    server = start("appendonly yes", flavour=flavour)
    client, configured = server.client(), at(server)
    client.set("one", "1")
    fresh = probes.last_save(configuration=configured)
    assert (fresh["ok"], fresh["changes"], fresh["aof"]) == (True, 1, True)
    assert fresh["age_s"] < 30
    client.save()
    assert probes.last_save(configuration=configured)["changes"] == 0


def test_a_failed_save_is_not_ok(start: Start, flavour: str) -> None:
    server = start(flavour=flavour)
    client = server.client()
    client.set("one", "1")
    (server.folder / "dump.rdb").mkdir()  # nothing can be renamed to that
    client.bgsave()
    assert wait_until(lambda: not probes.last_save(configuration=at(server))["ok"], 20, 0.1)
    assert probes.last_save(configuration=at(server))["changes"] == 1
