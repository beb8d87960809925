"""Roles, faults, planned failover and FLUSHALL on real servers and sentinels."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from chaoslib.exceptions import ActivityFailed

from chaosdrills.errors import UnavailableError
from chaosdrills.faults import lock, marking
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.host import nodes
from chaosdrills.host.nodes import Cluster, start_node
from chaosdrills.host.processes import is_paused, wait_until
from chaosdrills.host.sockets import accepts
from chaosdrills.lab import redis as lab_redis
from chaosdrills.redis import actions, preview, probes, roles
from chaosdrills.redis.finding import fields_of
from chaosdrills.redis.overview import Overview, Server
from chaosdrills.redis.roles import choose
from chaosdrills.redis.sentinels import Sentinel
from chaosdrills.redis.way import way_of
from tests.lab.redis_nodes import primary
from tests.redis.servers import Start

pytestmark = pytest.mark.lab

NOTHING = {"healed": 0, "nothing_to_do": 0}
NAMES = ["fault_begin", "fault_end", "heal_begin", "heal_end"]
Marks = list[tuple[str, str]]


def settings(lab: Cluster) -> dict[str, str]:
    """The configuration of an experiment on the lab."""
    return lab_redis.configuration(lab)


def elsewhere(lab: Cluster) -> dict[str, str]:
    """That of an experiment on the same servers under another name: a Redis that is not the lab."""
    return {"redis_url": settings(lab)["redis_url"].replace("127.0.0.1", "localhost")}


def client(lab: Cluster, db: int = 0) -> "redis.Redis":
    """A client of one's own of the primary."""
    return redis.Redis(port=int(lab.node(primary(lab)).endpoint.rpartition(":")[2]), db=db, protocol=2)


@pytest.fixture
def marks() -> Marks:
    """The marks that faults and heals of the test make: name and label."""
    kept: Marks = []
    marking.set_marker(lambda name, label, at_ns: kept.append((name, label)), "test drill")
    return kept


@pytest.fixture
def lab(redis_lab: Cluster) -> Iterator[Cluster]:
    yield redis_lab
    marking.set_marker(None)
    healing = heal_outstanding()
    lock.release()
    healing.demand()
    client(redis_lab).flushall()
    actions.wait_whole(60, configuration=settings(redis_lab))


def test_a_killed_primary_is_replaced_and_comes_back_as_a_replica(lab: Cluster, marks: Marks) -> None:
    leads, configured = primary(lab), settings(lab)
    epoch = probes.failovers(configured)["epoch"]
    what = f"kill -9 of node {leads} (primary)"
    assert actions.kill_node(configuration=configured) == {"killed": 1, "nodes": str(leads), "what": what}
    assert not accepts(lab.node(leads).endpoint)
    assert [(it.fault, it.target.label) for it in outstanding()[0]] == [("kill", f"node {leads} (primary)")]
    seen = probes.cluster_whole(configured)
    assert (seen["whole"], seen["silent"]) == (False, 1)
    assert wait_until(lambda: probes.primary(configured)["primaries"] == 1, 30, 0.1), "nobody was promoted"
    assert probes.primary(configured)["primary"] != leads
    assert actions.heal_nodes(configured) == {"healed": 1, "nothing_to_do": 0}
    assert actions.heal_nodes(configured) == NOTHING
    whole = actions.wait_whole(60, configuration=configured)
    assert (whole["servers"], whole["replicas"], whole["sentinels"]) == (3, 2, 3)
    assert whole["epoch"] > epoch
    assert probes.role(leads, configured)["replica"]
    assert marks == [(name, what if "fault" in name else f"heal of {what}") for name in NAMES]


def test_a_stopped_replica_ends_in_good_order(lab: Cluster, marks: Marks) -> None:
    configured = settings(lab)
    stopped = actions.stop_node("replica", configuration=configured)
    node = lab.node(int(stopped["nodes"]))
    assert stopped == {"stopped": 1, "nodes": str(node.id), "what": f"stop of node {node.id} (replica)"}
    with open(node.log, errors="replace") as log:
        assert "is now ready to exit, bye bye" in log.read()
    assert probes.primary(configured)["primary"] == primary(lab)
    assert actions.heal_nodes(configured) == {"healed": 1, "nothing_to_do": 0}


def test_a_paused_sentinel_answers_nobody(lab: Cluster, marks: Marks) -> None:
    configured = settings(lab)
    assert actions.pause_node("sentinel", configuration=configured)["what"] == "pause of node 4 (sentinel)"
    assert lab.node(4).process is not None
    assert is_paused(lab.node(4).process)
    assert probes.sentinel_quorum(configured)["answering"] == 2
    assert probes.sentinel_quorum(configured)["quorum"]
    assert actions.heal_nodes(configured) == {"healed": 1, "nothing_to_do": 0}


def test_a_crash_loop_is_one_until_it_is_healed(lab: Cluster, marks: Marks) -> None:
    configured = settings(lab)
    hit = actions.crash_loop_node("replica", configuration=configured)
    node = lab.node(int(hit["nodes"]))
    assert hit == {"crash_looping": 1, "nodes": str(node.id), "what": f"crash loop of node {node.id} (replica)"}
    assert start_node("redis", node.id)
    with open(node.log, errors="replace") as log:
        assert wait_until(lambda: "can't open config file" in log.read(), 20, 0.1)
    assert not accepts(node.endpoint)
    assert actions.heal_nodes(configured) == {"healed": 1, "nothing_to_do": 0}
    assert actions.wait_whole(60, configuration=configured)["replicas"] == 2
    assert [name for name, _ in marks] == NAMES


def test_a_restart_storm_is_one_fault(lab: Cluster, marks: Marks) -> None:
    configured, leads = settings(lab), primary(lab)
    what = f"restart storm of node {leads} (primary): kill -9 3 times, every 0.5 s"
    assert actions.restart_storm_node("primary", -1, 3, 0.5, configuration=configured) == {
        "stormed": 1, "nodes": str(leads), "what": what,
    }  # fmt: skip
    assert not accepts(lab.node(leads).endpoint)
    assert actions.heal_nodes(configured) == {"healed": 1, "nothing_to_do": 0}
    actions.wait_whole(60, configuration=configured)
    with open(lab.node(leads).log, errors="replace") as log:
        assert log.read().count("Ready to accept connections") >= 3
    assert marks == [(name, what if "fault" in name else f"heal of {what}") for name in NAMES]


@pytest.mark.parametrize(("times", "every_s"), [(0, 1.0), (-1, 1.0), (3, 0.0), (3, -1.0)])
def test_a_storm_that_is_none_hits_nothing(lab: Cluster, times: int, every_s: float) -> None:
    with pytest.raises(ActivityFailed, match=r"(times|every_s) is"):
        actions.restart_storm_node("primary", -1, times, every_s, configuration=settings(lab))
    assert all(node.alive for node in lab.nodes)
    assert outstanding()[0] == []


def test_a_lost_quorum_keeps_anybody_from_being_promoted(lab: Cluster, marks: Marks) -> None:
    configured = settings(lab)
    what = "kill -9 of node 4 (sentinel) and kill -9 of node 5 (sentinel)"
    lost = actions.kill_node("sentinels", configuration=configured)
    assert lost == {"killed": 2, "nodes": "4, 5", "what": what}
    assert not probes.sentinel_quorum(configured)["quorum"]
    with pytest.raises(
        ActivityFailed, match=r"the Redis is not whole after 0.1 s: .*\(sentinel\) says: connection ref"
    ):
        actions.wait_whole(0.1, configuration=configured)
    with pytest.raises(UnavailableError, match="only 1 sentinels answer, which are no quorum"):
        choose("sentinels", -1, way_of(configured, {}), lab, timeout_s=0.1)
    assert actions.heal_nodes(configured) == {"healed": 2, "nothing_to_do": 0}
    assert [name for name, _ in marks] == NAMES


@pytest.mark.parametrize(
    ("answering", "named", "others", "hit"),
    [(3, 3, 2, 2), (5, 5, 4, 3), (4, 5, 4, 2), (2, 2, 2, 2), (1, 1, 2, 0), (2, 2, 4, 0), (2, 3, 2, 1), (1, 3, 2, 0)],
)
def test_so_many_sentinels_are_hit_that_those_left_or_never_named_are_no_quorum(
    answering: int, named: int, others: int, hit: int
) -> None:
    told = [
        Sentinel(f"127.0.0.1:{number}", "" if number < answering else "is silent", others=others, quorum=2)
        for number in range(named)
    ]
    assert len(roles._sentinels(Overview((), tuple(told)))[0]) == hit


@pytest.mark.parametrize(
    ("replicas", "chosen"),
    [
        ([("100", 5_000, "b"), ("100", 6_000, "c")], "b"),  # asked earlier, under load
        ([("100", 6_000, "c"), ("100", 5_000, "b")], "b"),
        ([("100", 5_000, "b"), ("100", 5_000_000, "c")], "c"),  # really behind
        ([("100", 5_000_000, "b"), ("10", 5_000, "c")], "c"),
        ([("0", 5_000_000, "b"), ("100", 5_000, "c")], "c"),
        ([("0", 5_000, "b")], ""),
    ],
)
def test_who_would_be_promoted(replicas: list[tuple[str, int, str]], chosen: str) -> None:
    leads = Server("primary", role="primary", run_id="a", history="h")
    following = (
        Server(run_id, "", "replica", run_id, "h", offset, "primary", True, info={"slave_priority": priority})
        for priority, offset, run_id in replicas
    )
    assert roles._standby(Overview((leads, *following)))[0] == ([chosen] if chosen else [])


def priorities(lab: Cluster) -> list[set[int]]:
    """Those of the replicas, as each sentinel knows them."""
    known = []
    for node in (it for it in lab.nodes if it.kind == "sentinel"):
        session = way_of(settings(lab), {}).sentinel(node.endpoint)
        replicas = session.do("SENTINEL", "REPLICAS", "drill", timeout_s=5)
        known.append({int(fields_of(it)["slave-priority"]) for it in replicas})
        session.close()
    return known


def test_the_standby_is_whom_sentinel_promotes(lab: Cluster, marks: Marks) -> None:
    configured, replicas = settings(lab), [it for it in lab.nodes if it.kind == "redis" and it.id != primary(lab)]
    for node, priority in zip(replicas, (50, 0), strict=True):
        redis.Redis.from_url(f"redis://{node.endpoint}").config_set("replica-priority", priority)
    try:
        (chosen,) = choose("standby", -1, way_of(configured, {}), lab)
        assert (chosen.node_id, chosen.label) == (replicas[0].id, f"node {replicas[0].id} (standby)")
        assert wait_until(lambda: all(50 in known for known in priorities(lab)), 30), "they ask every ten seconds"
        assert actions.fail_over(False, 30, configured)["after"] == replicas[0].endpoint
    finally:
        for node in replicas:
            redis.Redis.from_url(f"redis://{node.endpoint}").config_set("replica-priority", 100)
    actions.wait_whole(60, configuration=configured)


def test_sentinel_fails_over_when_it_is_asked(lab: Cluster, marks: Marks) -> None:
    configured, leads = settings(lab), lab.node(primary(lab)).endpoint
    moved = actions.fail_over(False, 30, configured)
    after = moved["after"]
    assert (moved["before"], moved["failed_over"]) == (leads, 1)
    assert after != leads
    assert [name for name, _ in marks] == NAMES[:2]
    assert outstanding()[0] == []
    actions.wait_whole(60, configuration=configured)
    assert lab.node(primary(lab)).endpoint == after
    servers = {"redis_url": f"redis://{leads},{after}"}
    with pytest.raises(ActivityFailed, match="a failover is Sentinel's to do"):
        actions.fail_over(False, 30, servers)


def test_flushall_is_done_only_where_it_is_named(lab: Cluster, marks: Marks) -> None:
    configured, leads = settings(lab), lab.node(primary(lab)).endpoint
    client(lab).mset({"mine": 1, "chaosdrills:abc:1": 2, "chaosdrills:abc:2": 3})
    client(lab, 5).set("other", 1)
    toll = rf"FLUSHALL would take 4 keys of {leads}, 2 of them of no drill, and"
    with pytest.raises(ActivityFailed, match=rf"{toll} nothing allows it: nothing was flushed.*'{leads}' or 'drill'"):
        actions.flush_all(configuration=configured)
    with pytest.raises(ActivityFailed, match=f"{toll} allow is 'all'"):
        actions.flush_all("all", configuration=configured)
    with pytest.raises(ActivityFailed, match=r"FLUSHALL would take 4 keys of .*: nothing was flushed.*allow_foreign_k"):
        actions.flush_all("drill", configuration=elsewhere(lab))
    assert marks == []
    assert client(lab, 5).get("other") == b"1"
    done = actions.flush_all("drill", configuration=configured)
    what = f"FLUSHALL on {leads}"
    assert done == {"flushed": 1, "address": leads, "keys": 4, "foreign": 2, "what": what}
    assert (client(lab).dbsize(), client(lab, 5).dbsize()) == (0, 0)
    assert marks == [("fault_begin", what), ("fault_end", what)]
    client(lab).set("chaosdrills:abc:1", 1)
    assert actions.flush_all(leads, configuration=elsewhere(lab))["keys"] == 1
    client(lab).set("mine", 1)
    assert actions.flush_all(leads, True, elsewhere(lab))["foreign"] == 1


def test_flushall_spares_a_foreign_server_that_the_labs_sentinels_know(
    lab: Cluster, start: Start, marks: Marks
) -> None:
    foreign, watchers = start(), [node for node in lab.nodes if node.kind == "sentinel"]
    foreign.client().set("precious", 1)
    for node in watchers:
        redis.Redis.from_url(f"redis://{node.endpoint}").sentinel_monitor("other", "127.0.0.1", foreign.port, 2)
    try:
        there = {"redis_url": settings(lab)["redis_url"].replace("/drill", "/other")}
        with pytest.raises(ActivityFailed, match=rf"FLUSHALL would take 1 keys of {foreign.address}, 1 of them of no"):
            actions.flush_all("other", configuration=there)
        assert (foreign.client().get("precious"), marks) == ("1", [])
    finally:
        for node in watchers:
            redis.Redis.from_url(f"redis://{node.endpoint}").sentinel_remove("other")


def by_command(lab: Cluster, **more: Any) -> dict[str, Any]:
    """Commands that kill and start a node of the lab, as a user's would a machine."""
    code = (
        "import os, sys; from chaosdrills.host.nodes import load, start_node; "
        "node = next(it for it in load('redis').nodes if it.endpoint.endswith(':' + sys.argv[2])); "
        "start_node('redis', node.id) if sys.argv[1] == 'heal' else os.kill(node.process.pid, 9)"
    )
    argv = [sys.executable, "-c", code]
    return {"target": "command", "inject": [*argv, "inject", "{port}"], "heal": [*argv, "heal", "{port}"], **more}


def test_a_lab_fault_hits_nothing_but_the_lab_and_a_command_any_redis(lab: Cluster, marks: Marks) -> None:
    there = elsewhere(lab)
    with pytest.raises(ActivityFailed, match=r"which is not the redis lab at .*target 'command'.*REDIS_INJECT"):
        actions.kill_node("replica", configuration=there)
    assert marks == []
    killed = actions.kill_node("replica", configuration=there, **by_command(lab))
    node = lab.node(int(killed["nodes"]))
    assert killed["what"] == f"kill by command of {node.endpoint} (replica)"
    assert not accepts(node.endpoint)
    with pytest.raises(ActivityFailed, match=r"the Redis is degraded already \(.*\): nothing was injected"):
        actions.kill_node("primary", configuration=there, **by_command(lab))
    assert actions.heal_nodes(there) == {"healed": 1, "nothing_to_do": 0}
    assert wait_until(lambda: accepts(node.endpoint), 30)


def test_where_nobody_answers_it_is_the_url_that_is_to_be_checked() -> None:
    there = {"redis_url": "redis://127.0.0.1:1"}
    with pytest.raises(ActivityFailed, match=r"no Redis is found \(127.0.0.1:1 .*\): nothing was injected.*REDIS_URL"):
        actions.kill_node("primary", configuration=there, target="command", inject=["true"], heal=["true"])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"role": "leader"}, "there is no role 'leader'.*primary, standby, replica, sentinel, sentinels, id"),
        ({"role": "id"}, "the role 'id' needs 'node_id'"),
        ({"role": "id", "node_id": 9}, "the redis lab has no node 9"),
        ({"target": "cloud"}, "target is 'cloud'"),
        ({"target": "command"}, "inject is "),
        ({"inject": ["true"]}, "the target is 'lab', which runs no command"),
    ],
)
def test_what_cannot_be_hit_is_refused_before_anything_is(
    lab: Cluster, marks: Marks, given: dict[str, Any], why: str
) -> None:
    with pytest.raises(ActivityFailed, match=why):
        actions.kill_node(**given, configuration=settings(lab))
    assert (marks, outstanding()[0]) == ([], [])


def test_no_sentinel_is_hit_where_none_is_named(lab: Cluster) -> None:
    servers = {"redis_url": "redis://" + ",".join(node.endpoint for node in lab.nodes[:3])}
    with pytest.raises(ActivityFailed, match="names no sentinels"):
        actions.kill_node("sentinel", configuration=servers)
    with pytest.raises(ActivityFailed, match="the network of the redis lab is plain, on which node"):
        actions.isolate_node(configuration=servers)


def test_a_preview_names_the_very_processes_and_does_nothing(lab: Cluster) -> None:
    way, leads = way_of(settings(lab), {}), lab.node(primary(lab))
    assert leads.process is not None
    given = {"role": "primary", "node_id": -1, "target": "lab", "timeout_s": 60}
    hit = {
        "broker": leads.id,
        "noun": "node",
        "address": leads.endpoint,
        "why": f"node {leads.id} (primary)",
        "check": "",
        "by": f"SIGKILL to process {leads.process.pid}",
        "heal": f"node {leads.id} of the lab is started, if it does not run",
    }
    bounds = ["nodes of the lab and nothing else"]
    found = preview.foresee("kill_node", given, {}, way, to_come=False)
    assert found == {"hits": [hit], "then": "", "bounds": bounds, "refused": None}
    both = preview.foresee("pause_node", {**given, "role": "sentinels"}, {}, way, to_come=False)["hits"]
    assert [it["broker"] for it in both] == [4, 5]
    there = way_of(elsewhere(lab), {})
    (hit,) = preview.foresee("kill_node", {**given, **by_command(lab)}, {}, there, to_come=False)["hits"]
    assert f"inject {leads.endpoint.rpartition(':')[2]}" in hit["by"]
    assert "which is not the redis lab" in str(preview.foresee("kill_node", given, {}, there, False)["refused"])
    then = preview.foresee("stop_node", given, {}, way, to_come=True)["then"]
    assert then == "the primary, as it is then; by SIGTERM on the lab"
    moved = preview.foresee("fail_over", {"timeout_s": 60}, {}, way, to_come=False)["then"]
    assert moved == f"the leadership: Sentinel hands it over, as planned work; {leads.endpoint} has it now"
    flushed = {"allow": "drill", "allow_foreign_keys": False}
    then = preview.foresee("flush_all", flushed, {}, way, to_come=False)["then"]
    assert then == f"0 keys of {leads.endpoint}, 0 of them of no drill, by FLUSHALL"
    for to_come in (True, False):
        refused = preview.foresee("flush_all", {**flushed, "allow": ""}, {}, way, to_come)["refused"]
        assert "nothing allows it: nothing was flushed" in str(refused)
    whole = {"endpoint": way.url.addresses, "brokers": 3, "noun": "servers", "degraded": ""}
    assert preview.look(way, to_come=False) == whole


def test_a_server_that_nobody_wrote_down_is_taken_for_what_it_is(redis_lab: Cluster) -> None:
    """Whoever started it was killed before it could: a second one would find its port taken, and end."""
    for node_id in (redis_lab.nodes[1].id, redis_lab.nodes[-1].id):
        with nodes.changing("redis"):
            cluster = nodes.load("redis")
            assert cluster is not None
            process, cluster.node(node_id).process = cluster.node(node_id).process, None
            nodes.save(cluster)
        assert nodes.start_node("redis", node_id)
        again = nodes.load("redis")
        assert again is not None
        assert again.node(node_id).process == process
