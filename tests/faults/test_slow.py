"""The fault `slow`, on real processes behind the lab's proxy."""

import socket
import time
from contextlib import closing

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults.slow import Slow, slow_target
from tests.faults import toy
from tests.faults.conformance import FaultConformance

LATENCY_MS = 1500.0
BOTH_WAYS_S = 2 * LATENCY_MS / 1000


@pytest.fixture
def fault():
    return Slow()


@pytest.fixture
def cluster(state, tmp_path):
    with toy.toy_cluster(tmp_path, network="proxied") as running:
        yield running


@pytest.fixture
def target(cluster):
    return slow_target(cluster, 2, "server 2", "id", LATENCY_MS)


class TestSlow(FaultConformance):
    @pytest.fixture
    def served(self, cluster):
        """Served well: an answer within the time that only a slowed one exceeds."""
        return lambda: toy.answers(cluster.node(2).endpoint, BOTH_WAYS_S - 0.5)


def took_s(endpoint):
    """How long an answer takes, once connected."""
    host, port = endpoint.split(":")
    with closing(socket.create_connection((host, int(port)), timeout=30)) as connection:
        begun = time.monotonic()
        connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        assert connection.recv(5) == b"HTTP/"
        return time.monotonic() - begun


def test_a_round_trip_takes_twice_the_latency_longer_and_others_do_not(fault, target, cluster):
    fault.inject(target)
    assert took_s(cluster.node(2).endpoint) >= BOTH_WAYS_S
    assert took_s(cluster.node(3).endpoint) < BOTH_WAYS_S
    assert fault.heal(target)
    assert took_s(cluster.node(2).endpoint) < BOTH_WAYS_S


def test_a_slow_node_for_its_peers_is_none_for_its_clients(fault, cluster):
    peers = slow_target(cluster, 2, "server 2", "id", LATENCY_MS, scope="peers")
    fault.inject(peers)
    assert took_s(cluster.node(2).endpoint) < BOTH_WAYS_S
    assert fault.describe(peers) == "slow network of server 2: 1500 ms each way between it and its peers"


def test_two_latencies_on_one_node_cannot_be_told_apart(fault, target, cluster):
    fault.inject(target)
    for scope in ("all", "clients"):
        with pytest.raises(UnavailableError, match="nothing was hit"):
            fault.check(slow_target(cluster, 2, "server 2", "id", 10, scope=scope))
    fault.check(slow_target(cluster, 3, "server 3", "id", 10))


@pytest.mark.parametrize(("latency_ms", "jitter_ms"), [(0, 0), (-1, 0), (60_001, 0), (10, 11), (10, -1)])
def test_a_latency_that_cannot_be_is_refused(cluster, latency_ms, jitter_ms):
    with pytest.raises(UsageError, match="cannot be") as raised:
        slow_target(cluster, 2, "server 2", "id", latency_ms, jitter_ms)
    assert raised.value.hint.startswith("give a latency above 0, up to 60000")


@pytest.mark.parametrize("network", ["plain", "filtered"])
def test_a_lab_without_a_proxy_is_refused_with_what_to_do(cluster, network):
    cluster.network = network
    with pytest.raises(UsageError, match=f"the network of the toy lab is {network}") as raised:
        slow_target(cluster, 2, "server 2", "id", 100)
    assert "--network proxied'" in raised.value.hint
