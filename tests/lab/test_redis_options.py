"""What can be chosen of the Redis lab, and what is refused; and what its nodes are told."""

from pathlib import Path
from typing import Any

import pytest

from chaosdrills.errors import UsageError
from chaosdrills.lab import redis_settings
from chaosdrills.lab.redis import DEFAULT_ENDPOINT, addresses, is_complaint, normalise
from chaosdrills.lab.redis_settings import Place

PLACES = [Place(node, 7000 + node, 7050 + node, Path("/data") / f"node-{node}") for node in range(1, 7)]


def test_options_become_comparable() -> None:
    chosen_not = dict.fromkeys(("base_port", "persistence", "acl", "tls", "network", "feast"))
    assert normalise({}) == {**chosen_not, "settings": {}, "sentinel": {}, "healer": ""}
    assert normalise({"healer": "none"}) == normalise({})
    asked = {
        "base_port": "26000",
        "settings": {"save": "3600 1", "Appendfsync": "always", "lazyfree-lazy-eviction": True},
        "sentinel": {"down-after-milliseconds": "500", "quorum": 3},
        "persistence": "rdb",
        "acl": "true",
        "tls": False,
        "network": "plain",
        "healer": "storm",
        "feast": False,
    }
    assert normalise(asked) == {
        "base_port": 26000,
        "settings": {"appendfsync": "always", "lazyfree-lazy-eviction": "yes", "save": "3600 1"},
        "sentinel": {"down-after-milliseconds": 500, "quorum": 3},
        "persistence": "rdb",
        "acl": True,
        "tls": False,
        "network": "plain",
        "healer": "storm",
        "feast": False,
    }


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"port": 1}, "no option 'port'"),
        ({"base_port": 80}, "80 is not a port"),
        ({"base_port": "many"}, "'many' is not a port"),
        ({"base_port": True}, "True is not a port"),
        ({"base_port": 65500}, "65500 is not a port"),
        ({"settings": "a=b"}, "not an object"),
        ({"settings": {"port": 7}}, "port is the lab's own"),
        ({"settings": {"REPLICAOF": "no one"}}, "replicaof is the lab's own"),
        ({"settings": {"appendonly": "no"}}, "appendonly is the lab's own"),
        ({"settings": {"tls-port": 7}}, "tls-port is the lab's own"),
        ({"settings": {"a b": 7}}, "'a b' is no name"),
        ({"settings": {"save": "1 1\nport 7"}}, "the value of save has a line break"),
        ({"sentinel": {"monitor": "x"}}, "no setting 'monitor'"),
        ({"sentinel": {"quorum": 4}}, "quorum is '4'"),
        ({"sentinel": {"down-after-milliseconds": 0}}, "down-after-milliseconds is '0'"),
        ({"sentinel": {"failover-timeout": "soon"}}, "failover-timeout is 'soon'"),
        ({"persistence": "disk"}, "there is no persistence 'disk'"),
        ({"acl": "perhaps"}, "the option acl is 'perhaps'"),
        ({"tls": 1}, "the option tls is 1"),
        ({"healer": "doctor"}, "there is no healer 'doctor'"),
        ({"network": "wild"}, "there is no network 'wild'"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        normalise(options)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("line", "telling"),
    [
        ("*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***", True),
        (">>> 'save \"x\"'", True),
        ("Invalid save parameters", True),
        ("7:M 28 Nov 2026 17:22:08.464 # Failed listening on port 7000 (tcp), aborting.", True),
        ("7:M 28 Nov 2026 17:22:08.464 # WARNING Memory overcommit must be enabled! Without it", False),
        ("7:C 28 Nov 2026 17:22:08.464 * oO0OoO0OoO0Oo Valkey is starting oO0OoO0OoO0Oo", False),
        ("", False),
    ],
)
def test_a_line_that_tells_why_a_node_ended(line: str, telling: bool) -> None:
    assert is_complaint(line) is telling


def test_the_labs_own_address_is_its_default_endpoint() -> None:
    assert addresses(DEFAULT_ENDPOINT) == {"127.0.0.1:27399", "127.0.0.1:27400", "127.0.0.1:27401"}
    assert addresses("nonsense") == set()


def test_what_a_replica_is_told() -> None:
    primary, replica, *_ = PLACES
    assert redis_settings.server(replica, primary, "none", {"appendfsync": "always", "masteruser": ""}) == [
        "bind 127.0.0.1",
        "port 7052",
        'dir "/data/node-2"',
        "set-proc-title no",
        "always-show-logo no",
        "repl-diskless-sync-delay 0",
        "appendonly no",
        'save ""',
        "replica-announce-ip 127.0.0.1",
        "replica-announce-port 7002",
        "replicaof 127.0.0.1 7001",
        "appendfsync always",
        'masteruser ""',
    ]
    assert [line for line in redis_settings.server(primary, primary, "aof", {}) if line.startswith("replicaof")] == []


def test_what_a_sentinel_is_told() -> None:
    told = redis_settings.sentinel(PLACES[4], PLACES[:3], PLACES[3:], {"quorum": 3, "down-after-milliseconds": 500})
    names = {line.split()[-1] for line in told if line.startswith("sentinel known-sentinel")}
    assert all(len(name) == 40 for name in names)
    assert [line for line in told if not line.startswith(("sentinel known-sentinel", "sentinel myid"))] == [
        "bind 127.0.0.1",
        "port 7055",
        'dir "/data/node-5"',
        "set-proc-title no",
        "always-show-logo no",
        'sentinel announce-ip "127.0.0.1"',
        "sentinel announce-port 7005",
        "sentinel monitor drill 127.0.0.1 7001 3",
        "sentinel down-after-milliseconds drill 500",
        "sentinel failover-timeout drill 10000",
        "sentinel parallel-syncs drill 1",
        "sentinel known-replica drill 127.0.0.1 7002",
        "sentinel known-replica drill 127.0.0.1 7003",
    ]
    others = [redis_settings.sentinel(PLACES[it], PLACES[:3], PLACES[3:], {}) for it in (3, 5)]
    assert names == {line.split()[-1] for one in others for line in one if line.startswith("sentinel myid")}


def test_a_word_with_marks_in_it_is_one_word() -> None:
    assert redis_settings.quoted('a "b" \\c') == '"a \\"b\\" \\\\c"'
