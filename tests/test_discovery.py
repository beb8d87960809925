"""What `chaos discover` shows of this extension."""

import json
import subprocess
import sys

import pytest

from chaosdrills import discover
from chaosdrills.discovery import ACTIONS, PROBES

PLAIN = {"string", "integer", "number", "boolean", "mapping", "list"}


@pytest.fixture(scope="module")
def activities():
    return discover()["activities"]


def test_every_entry_module_is_listed(activities):
    assert {activity["mod"] for activity in activities} == {*ACTIONS, *PROBES}


def test_the_kafka_activities_are_listed(activities):
    kafka = {(each["type"], each["name"]) for each in activities if each["mod"].startswith("chaosdrills.kafka.")}
    assert kafka == {
        ("action", "kill_broker"),
        ("action", "pause_broker"),
        ("action", "restart_brokers"),
        ("action", "stop_broker"),
        ("action", "start_broker"),
        ("action", "heal_brokers"),
        ("action", "isolate_broker"),
        ("action", "slow_broker"),
        ("action", "wait_in_sync"),
        ("action", "wait_whole"),
        ("action", "elect_preferred_leaders"),
        ("action", "heal_consumers"),
        ("action", "kill_consumer"),
        ("probe", "active_controller"),
        ("probe", "brokers"),
        ("probe", "cluster_health"),
        ("probe", "cluster_whole"),
        ("probe", "consumer_lag"),
        ("probe", "in_sync_replicas"),
        ("probe", "offline_partitions"),
        ("probe", "partition_leader"),
        ("probe", "partition_leaders"),
        ("probe", "under_min_isr"),
        ("probe", "under_replicated"),
    }


def test_the_postgresql_activities_are_listed(activities):
    found = {(each["type"], each["name"]) for each in activities if each["mod"].startswith("chaosdrills.timescaledb.")}
    assert found == {
        ("action", "heal_nodes"),
        ("action", "hold_back_wal"),
        ("action", "isolate_node"),
        ("action", "kill_node"),
        ("action", "lose_disk"),
        ("action", "pause_node"),
        ("action", "reinitialise_replica"),
        ("action", "restart_postgresql"),
        ("action", "stop_node"),
        ("action", "switch_over"),
        ("action", "wait_whole"),
        ("probe", "cluster_whole"),
        ("probe", "in_recovery"),
        ("probe", "primary"),
        ("probe", "replication_lag"),
        ("probe", "replication_slots"),
        ("probe", "synchronous_standbys"),
    }


def test_the_redis_activities_are_listed(activities):
    found = {(each["type"], each["name"]) for each in activities if each["mod"].startswith("chaosdrills.redis.")}
    assert found == {
        ("action", "crash_loop_node"),
        ("action", "fail_over"),
        ("action", "flush_all"),
        ("action", "heal_nodes"),
        ("action", "isolate_node"),
        ("action", "kill_node"),
        ("action", "pause_node"),
        ("action", "restart_storm_node"),
        ("action", "stop_node"),
        ("action", "wait_whole"),
        ("probe", "cluster_whole"),
        ("probe", "evictions"),
        ("probe", "failovers"),
        ("probe", "keys"),
        ("probe", "last_save"),
        ("probe", "memory"),
        ("probe", "primary"),
        ("probe", "replication_lag"),
        ("probe", "role"),
        ("probe", "sentinel_quorum"),
    }


def test_every_argument_has_a_plain_type(activities):
    objects = [
        f"{activity['name']}({argument['name']})"
        for activity in activities
        for argument in activity["arguments"]
        if argument.get("type") not in PLAIN
    ]
    assert objects == []


def test_every_activity_has_a_line_of_help_and_a_plain_result(activities):
    lacking = [each["name"] for each in activities if not each["doc"] or each["return_type"] not in PLAIN]
    assert lacking == []


def loaded_by(modules):
    """The packages that importing these loads."""
    code = f"import json, sys, {modules}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    return {name.split(".")[0] for name in json.loads(done.stdout)}


def test_importing_the_package_imports_no_driver():
    loaded = loaded_by("chaosdrills, chaosdrills.discovery")
    assert not loaded & {"confluent_kafka", "psycopg", "redis", "hiredis", "chaoslib", "numpy"}


def test_what_serves_every_service_imports_no_driver():
    """Who has one service's extra only can still look at this machine, draft, and soak that service."""
    gameday = "chaosdrills.gameday"
    loaded = loaded_by(f"{gameday}.postgresql, {gameday}.serving, {gameday}.drafting, {gameday}.grounds")
    assert not loaded & {
        "confluent_kafka",
        "psycopg",
        "psycopg_pool",
        "prometheus_client",
        "patroni",
        "redis",
        "hiredis",
    }
