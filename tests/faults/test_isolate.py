"""The fault `isolate`, on real processes: by packet filter where this user may, and behind the lab's proxy."""

import errno
import socket
from contextlib import closing

import pytest

from chaosdrills.errors import UnavailableError, UsageError
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.faults.injection import inject
from chaosdrills.faults.isolate import Isolate, isolate_target
from chaosdrills.host import network, nodes, packet_filter
from chaosdrills.host.processes import stop
from tests.faults import toy
from tests.faults.conformance import FaultConformance
from tests.faults.networks import FILTERED

SILENCE_S = 0.6
"""How long a client that nobody answers waits here."""


@pytest.fixture
def fault():
    return Isolate()


@pytest.fixture(params=[FILTERED, "proxied"])
def cluster(state, tmp_path, request):
    with toy.toy_cluster(tmp_path, network=request.param) as running:
        yield running


@pytest.fixture
def target(cluster):
    return isolate_target(cluster, 2, "server 2", "id")


class TestIsolate(FaultConformance):
    @pytest.fixture
    def served(self, cluster):
        return lambda: toy.answers(cluster.node(2).endpoint, SILENCE_S)


def connected(endpoint):
    host, port = endpoint.split(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    return closing(connection)


def is_silent(connection):
    """Whether nothing comes, neither an answer nor an end."""
    connection.settimeout(SILENCE_S)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(60)
    return False


def test_an_established_connection_falls_silent_and_what_was_sent_arrives_after_the_heal(fault, target, cluster):
    with connected(cluster.node(2).endpoint) as ours, connected(cluster.node(3).endpoint) as others:
        ours.sendall(b"HEAD / ")
        fault.inject(target)
        ours.sendall(b"HTTP/1.0\r\n\r\n")
        others.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        assert others.recv(5) == b"HTTP/"
        assert is_silent(ours)
        assert fault.heal(target)
        assert ours.recv(5) == b"HTTP/"


def test_neither_end_is_told_that_the_other_has_closed(fault, target, cluster):
    with connected(cluster.node(2).endpoint) as ours:
        ours.sendall(b"HEAD / ")
        fault.inject(target)
        stop([cluster.node(2).process], 0)
        assert is_silent(ours)


def test_a_new_connection_is_neither_accepted_nor_refused(fault, target, cluster):
    fault.inject(target)
    host, port = cluster.node(2).endpoint.split(":")
    for _ in range(3):
        with closing(socket.socket()) as client:
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.connect((host, int(port)))
    assert toy.answers(cluster.node(1).endpoint)
    assert toy.answers(cluster.node(3).endpoint)


def test_a_connection_that_was_begun_in_the_silence_comes_about_after_the_heal(fault, target, cluster):
    fault.inject(target)
    host, port = cluster.node(2).endpoint.split(":")
    with closing(socket.socket()) as client:
        client.setblocking(False)
        assert client.connect_ex((host, int(port))) == errno.EINPROGRESS
        assert fault.heal(target)
        client.settimeout(60)
        client.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        assert client.recv(5) == b"HTTP/"


def test_a_node_that_is_started_anew_is_cut_off_too(fault, target, cluster):
    fault.inject(target)
    stop([cluster.node(2).process], 0)
    nodes.start_node(toy.SERVICE, 2)
    assert not toy.answers(cluster.node(2).endpoint, SILENCE_S)
    assert fault.heal(target)
    fault.wait_healed(target, 60)
    assert toy.answers(cluster.node(2).endpoint)


def test_two_nodes_are_cut_off_and_healed_by_themselves(fault, target, cluster):
    both = [target, isolate_target(cluster, 3, "server 3", "id", "clients")]
    assert inject(fault, both) == "isolation of server 2 and isolation of server 3 from its clients"
    served = [toy.answers(node.endpoint, SILENCE_S) for node in cluster.nodes]
    assert served == [True, False, False]
    assert network.in_force(toy.SERVICE, cluster.network) == [
        network.Effect("cut", 2, "all"),
        network.Effect("cut", 3, "clients"),
    ]
    assert fault.heal(both[0])
    assert [toy.answers(node.endpoint, SILENCE_S) for node in cluster.nodes] == [True, True, False]
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["nothing to do", "healed"]
    assert toy.answers(cluster.node(3).endpoint)


def test_what_a_cut_covers_already_hits_nothing_and_what_it_does_not_is_a_cut_of_its_own(fault, target, cluster):
    narrow = isolate_target(cluster, 2, "server 2", "id", "clients")
    fault.inject(narrow)
    fault.check(target)
    fault.inject(target)
    with pytest.raises(UnavailableError, match="nothing was hit"):
        fault.check(narrow)
    assert fault.heal(narrow)
    assert not toy.answers(cluster.node(2).endpoint, SILENCE_S)
    assert fault.heal(target)
    assert toy.answers(cluster.node(2).endpoint)


def test_a_cut_is_healed_though_its_lab_is_gone(fault, target, cluster):
    inject(fault, [target])
    stop([it for it in (cluster.proxy, *(node.process for node in cluster.nodes)) if it], 0)
    nodes.forget(toy.SERVICE)
    left = cluster.network == "filtered"
    assert fault.needs_heal(target) is left
    assert [outcome.result for outcome in heal_outstanding().outcomes] == ["healed" if left else "nothing to do"]
    assert (outstanding(), network.in_force(toy.SERVICE, cluster.network)) == (([], []), [])


def test_a_dead_node_is_no_target(fault, target, cluster):
    stop([cluster.node(2).process], 0)
    with pytest.raises(UnavailableError, match=r"server 2 does not run: nothing was hit\."):
        fault.inject(target)
    assert network.in_force(toy.SERVICE, cluster.network) == []


def test_a_lab_on_a_plain_network_is_refused_with_what_to_do(state, tmp_path):
    with toy.toy_cluster(tmp_path, [1]) as plain, pytest.raises(UsageError) as raised:
        isolate_target(plain, 1, "server 1", "id")
    assert raised.value.message == "the network of the toy lab is plain, on which server 1 cannot be hit."
    assert "'chaos drills lab up toy --network isolable'" in raised.value.hint
    assert '{"network": "isolable"}' in raised.value.hint


@pytest.mark.parametrize("scope", ["", "everybody"])
def test_an_unknown_scope_is_refused(cluster, scope):
    with pytest.raises(UsageError, match="there is no scope") as raised:
        isolate_target(cluster, 2, "server 2", "id", scope)
    assert raised.value.hint == "choose one of all, peers, clients."


def test_an_unknown_node_is_refused(cluster):
    with pytest.raises(UnavailableError, match="the toy lab has no node 9"):
        isolate_target(cluster, 9, "server 9", "id")


@pytest.mark.parametrize("cluster", [FILTERED], indirect=True)
def test_no_rule_names_anything_but_the_labs_ports(cluster, monkeypatch):
    made = {}
    monkeypatch.setattr(packet_filter.nftables, "make", lambda name, chains: made.update(chains))
    monkeypatch.setattr(packet_filter.nftables, "add", lambda name, chain, rules: made[chain].extend(rules))
    with connected(cluster.node(2).endpoint):
        packet_filter.cut(cluster, 2, "all")
    port = cluster.node(2).listeners["client"]
    drops = [rule for rule in made["in"] if rule[-1] == packet_filter.nftables.DROP[0]]
    ours = [packet_filter.nftables.to_port(port), packet_filter.nftables.from_port(port)]
    assert len(drops) == 3
    assert all(any(one[0] in rule and one[1] in rule for one in ours) for rule in drops)
