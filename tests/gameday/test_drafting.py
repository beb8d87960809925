"""Drafts: held to what was asked, to the objectives, and to what the actions take."""

from typing import Any

import pytest

from chaosdrills.core.objectives import Objective
from chaosdrills.errors import UsageError
from chaosdrills.gameday.drafting import Draft, experiment, role_of
from chaosdrills.gameday.drafting_subjects import KAFKA, REDIS, TIMESCALEDB
from chaosdrills.kafka.roles import ROLES as KAFKA_ROLES
from chaosdrills.observe.arguments import faults_of, heals_of
from chaosdrills.observe.tolerances import limits_of
from chaosdrills.redis.roles import ROLES as REDIS_ROLES
from chaosdrills.timescaledb.roles import ROLES as TIMESCALEDB_ROLES

OBJECTIVE = Objective("kafka", 120, 300, 7, 90)


def drafted(**more: Any) -> dict[str, Any]:
    return experiment(Draft("mine", **{"objective": OBJECTIVE, **more}))


def observe(made: dict[str, Any]) -> dict[str, Any]:
    return next(it["provider"]["arguments"] for it in made["controls"] if it["name"] == "observe")


def test_roles_are_those_of_the_actions() -> None:
    assert tuple(KAFKA.roles) == KAFKA_ROLES
    assert tuple(TIMESCALEDB.roles) == TIMESCALEDB_ROLES


def test_the_faults_are_those_that_have_an_action() -> None:
    assert set(KAFKA.faults()) == {"kill", "stop", "pause", "isolate", "slow"}
    assert {"kill", "stop", "pause", "switch_over", "restart_postgresql"} <= set(TIMESCALEDB.faults())
    assert "command" not in TIMESCALEDB.faults()
    drafted_by = {TIMESCALEDB.func(fault) for fault in TIMESCALEDB.faults()}
    assert drafted_by == set(TIMESCALEDB.actions.__all__) - {"heal_nodes", "wait_whole"}, "every fault can be drafted"


@pytest.mark.parametrize(("fault", "network"), [("isolate", "isolable"), ("slow", "proxied")])
def test_the_lab_gets_the_network_that_the_fault_needs(fault: str, network: str) -> None:
    arguments = {"latency_ms": "200"} if fault == "slow" else {}
    made = drafted(fault=fault, arguments=arguments)
    lab = next(it["provider"]["arguments"] for it in made["controls"] if it["name"] == "lab")
    assert lab == {"service": "kafka", "options": {"network": network}}


def test_everything_that_was_asked_for_is_in_it() -> None:
    made = drafted(
        role="id", node_id=2, workload={"topic": "t", "partitions": 3}, rate_per_s=50.0, endpoint="a:1", title="T"
    )
    assert made["title"] == "T"
    assert made["configuration"]["kafka_bootstrap_servers"]["default"] == "a:1"
    assert (observe(made)["name"], observe(made)["rate_per_s"]) == ("mine", 50.0)
    workload = observe(made)["workload_arguments"]
    assert (workload["topic"], workload["partitions"]) == ("t", 3)
    assert workload["bootstrap_servers"] == "${kafka_bootstrap_servers}"
    limits = limits_of(made)
    assert (limits.rto_s, limits.rpo_s, limits.max_lost) == (120, 300, 7)
    fault, wait, heal, whole = made["method"]
    assert fault["provider"]["func"] == "kill_broker"
    assert fault["provider"]["arguments"] == {"role": "id", "broker_id": 2}
    assert wait["provider"]["arguments"] == {"timeout_s": 120}
    assert [it["provider"]["func"] for it in (heal, whole)] == ["heal_brokers", "wait_whole"]
    assert made["rollbacks"] == [heal]
    assert made["steady-state-hypothesis"]["probes"][0]["tolerance"]["target"] == "share_of_rate", "whatever the rate"
    assert faults_of(made, None) == {fault["name"]}
    assert heals_of(made, None) == frozenset()
    assert made["extensions"] == [
        {"name": "chaosdrills", "hits": "kill of broker 2", "minutes": 2, "needs": ["the lab"]}
    ]


def test_without_a_bound_on_lost_records_there_is_no_such_probe() -> None:
    made = drafted(objective=Objective("kafka", 120, 300, None, 90))
    assert limits_of(made).max_lost is None
    assert len(made["steady-state-hypothesis"]["probes"]) == len(drafted()["steady-state-hypothesis"]["probes"]) - 1


def test_what_recovers_only_once_healed_is_not_waited_for_before() -> None:
    made = drafted(role="followers", healed=True)
    assert observe(made)["parameters"] == {"recovery": "healed"}
    assert [it["provider"]["func"] for it in made["method"]] == ["kill_broker", "heal_brokers", "wait_whole"]
    assert made["method"][0]["pauses"] == {"after": 20}


def test_more_arguments_of_the_fault_in_their_types() -> None:
    made = drafted(role="random", arguments={"seed": "5", "partition": "2"})
    assert made["method"][0]["provider"]["arguments"] == {"role": "random", "seed": 5, "partition": 2}
    with pytest.raises(UsageError, match="the fault has no argument 'sed'"):
        drafted(arguments={"sed": "5"})
    with pytest.raises(UsageError, match="the argument seed is 'five'"):
        drafted(arguments={"seed": "five"})


def test_a_fault_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="there is no fault 'melt'"):
        drafted(fault="melt")


def test_a_draft_on_postgresql() -> None:
    objective = Objective("timescaledb", 60, 300, 0, 90)
    arguments = {"what": "postmaster"}
    made = experiment(Draft("crash", objective, TIMESCALEDB, workload={"connections": 3}, arguments=arguments))
    assert made["title"] == "PostgreSQL recovers by itself: kill of the primary"
    assert observe(made)["workload_arguments"] == {"dsn": "${timescaledb_dsn}", "connections": 3}
    assert observe(made)["polls"][0]["url"] == "${timescaledb_app_url}"
    limits = limits_of(made)
    assert (limits.rto_s, limits.rpo_s, limits.max_lost, limits.max_unavailable_s) == (60, 300, 0, 60)
    fault, wait, heal, whole = (one["provider"] for one in made["method"])
    assert (fault["func"], fault["arguments"]) == ("kill_node", {"role": "primary", "what": "postmaster"})
    assert [it["func"] for it in (wait, heal, whole)] == ["wait_recovered", "heal_nodes", "wait_whole"]
    assert set(made["configuration"]) == {
        "timescaledb_dsn", "timescaledb_patroni", "timescaledb_patroni_auth_file", "timescaledb_app_url",
        "timescaledb_app_expect",
    }  # fmt: skip


def test_a_draft_on_redis() -> None:
    objective = Objective("redis", 60, 300, None, 90)
    made = experiment(Draft("mine", objective, REDIS, fault="pause", workload={"connections": 3}))
    assert made["title"] == "Redis recovers by itself: pause of the primary"
    assert observe(made)["workload_arguments"] == {"url": "${redis_url}", "connections": 3}
    assert (limits_of(made).rto_s, limits_of(made).rpo_s, limits_of(made).max_lost) == (60, 300, None)
    fault, wait, heal, whole = (one["provider"] for one in made["method"])
    assert (fault["func"], fault["arguments"]) == ("pause_node", {"role": "primary"})
    assert [it["func"] for it in (wait, heal, whole)] == ["wait_recovered", "heal_nodes", "wait_whole"]
    assert set(made["configuration"]) == {"redis_url"}
    strict = experiment(Draft("mine", Objective("redis", 60, 300, 7, 90), REDIS, fault="isolate"))
    assert limits_of(strict).max_lost == 7
    lab = next(it for it in strict["controls"] if it["name"] == "lab")["provider"]["arguments"]
    assert lab == {"service": "redis", "options": {"network": "isolable"}}


@pytest.mark.parametrize("fault", REDIS.faults())
def test_every_fault_on_redis_hits_whom_its_action_hits(fault: str) -> None:
    made = experiment(Draft("mine", OBJECTIVE, REDIS, fault=fault))
    assert made["method"][0]["provider"]["arguments"] == ({} if fault == "fail_over" else {"role": "primary"})
    assert set(REDIS.roles) == set(REDIS_ROLES)


@pytest.mark.parametrize("fault", TIMESCALEDB.faults())
def test_every_fault_on_postgresql_hits_whom_its_action_hits(fault: str) -> None:
    made = experiment(Draft("mine", OBJECTIVE, TIMESCALEDB, fault=fault))
    arguments = made["method"][0]["provider"]["arguments"]
    role = role_of(TIMESCALEDB, fault)
    assert arguments == ({"role": role} if role else {})
    assert role in (*TIMESCALEDB.roles, "")
    assert made["title"].startswith("PostgreSQL recovers by itself: ")


def test_what_waits_for_its_heal_on_postgresql() -> None:
    healed = [fault for fault in TIMESCALEDB.faults() if TIMESCALEDB.is_healed(fault, role_of(TIMESCALEDB, fault))]
    assert healed == ["hold_back_wal"]
    assert TIMESCALEDB.is_healed("kill", "etcd")
    with pytest.raises(UsageError, match="'switch_over' hits whom it always hits: it takes no role"):
        experiment(Draft("mine", OBJECTIVE, TIMESCALEDB, fault="switch_over", role="primary"))
    with pytest.raises(UsageError, match=r"'switch_over' takes no commands. Try: choose one of kill, stop, pause"):
        experiment(Draft("mine", OBJECTIVE, TIMESCALEDB, fault="switch_over", inject=["a"], heal=["b"]))


def test_commands_of_the_users_own_on_postgresql() -> None:
    made = experiment(Draft("mine", OBJECTIVE, TIMESCALEDB, inject=["ssh", "{host}"], heal=["ssh", "{host}", "up"]))
    assert made["method"][0]["provider"]["arguments"] == {
        "role": "primary", "target": "command", "inject": ["ssh", "{host}"], "heal": ["ssh", "{host}", "up"],
    }  # fmt: skip
    lost = experiment(Draft("mine", OBJECTIVE, TIMESCALEDB, fault="lose_disk", inject=["a"], heal=["b"]))
    assert lost["extensions"][0]["hits"] == "kill and loss of the disk by command of the primary"
    (said,) = made["extensions"]
    assert said["hits"] == "kill by command of the primary"
    assert said["needs"] == ["the program ssh", "TIMESCALEDB_DSN, or the lab"]


def test_only_some_faults_hit_etcd_and_only_on_the_lab() -> None:
    with pytest.raises(
        UsageError, match=r"'lose_disk' cannot hit etcd\. Try: choose one of kill, stop, pause, isolate"
    ):
        experiment(Draft("mine", OBJECTIVE, TIMESCALEDB, fault="lose_disk", role="etcd"))
    with pytest.raises(UsageError, match=r"etcd can only be hit on the lab\. Try: leave the commands out"):
        experiment(Draft("mine", OBJECTIVE, TIMESCALEDB, role="etcd", inject=["a"], heal=["b"]))


def test_commands_need_both_halves_and_a_fault_that_takes_them() -> None:
    for half in ({"inject": ["stop"]}, {"heal": ["start"]}):
        with pytest.raises(UsageError, match=r"by command needs two commands|hits the lab only"):
            drafted(**half)
