"""The proxy before a lab's listeners: it passes everything on, unchanged and in order, whatever it is told to do."""

import hashlib
import json
import os
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from chaosdrills.errors import UnavailableError
from chaosdrills.host import network, nodes, proxy_control
from chaosdrills.host.network import Effect
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import is_alive, stop, this_process, wait_until
from chaosdrills.host.sockets import accepts
from chaosdrills.lab import supervision

# A node that answers with what it was sent; told to, it opens a connection itself, and sends on it ("from PORT") or
# closes it again ("knock PORT"), or keeps it ("hold PORT") until it is to close that ("drop").
ECHO = """
import socket, sys, threading
held = []
def echo(connection):
    with connection:
        while data := connection.recv(1 << 16):
            if data.startswith(b"knock "):
                socket.create_connection(("127.0.0.1", int(data[6:]))).close()
            if data.startswith(b"hold "):
                held.append(socket.create_connection(("127.0.0.1", int(data[5:]))))
            if data == b"drop":
                held.pop().close()
            if data.startswith(b"from "):
                other = socket.create_connection(("127.0.0.1", int(data[5:])))
                threading.Thread(target=relay, args=(other, connection)).start()
                continue
            connection.sendall(data)
def relay(other, back):
    other.sendall(b"hello")
    back.sendall(other.recv(100))
def listen(port):
    server = socket.create_server(("127.0.0.1", port))
    while True:
        threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
for port in map(int, sys.argv[1:]):
    threading.Thread(target=listen, args=(port,)).start()
"""
WHO = ("client", "replication", "sql")


@pytest.fixture
def lab(own_state: Path) -> Iterator[Cluster]:
    """Two nodes behind the proxy, each with a listener for clients, one for peers and one for both, all reached."""
    folder, made = nodes.cluster_dir("toy"), []
    ports = free_ports(4 * len(WHO))
    for node_id in (1, 2):
        public, own = ({who: ports.pop() for who in WHO} for _ in range(2))
        argv = [sys.executable, "-c", ECHO, *map(str, own.values())]
        places = (str(folder), str(folder / f"node-{node_id}.log"), str(folder / f"node-{node_id}"))
        endpoint, mark = f"127.0.0.1:{public['client']}", supervision.marked("toy")
        node = Node(node_id, endpoint, argv, mark, *places, listeners=public, behind=own)
        made.append(node)
    cluster = Cluster("toy", ",".join(node.endpoint for node in made), made, network="proxied")
    supervision.start(cluster, this_process())
    for node in made:
        for port in node.listeners.values():
            assert wait_until(lambda port=port: accepts(f"127.0.0.1:{port}"), 30), (folder / "proxy.log").read_text()
    yield cluster
    supervision.end("toy")


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def connect(node: Node, who: str = "client") -> "closing[socket.socket]":
    return closing(socket.create_connection(("127.0.0.1", node.listeners[who]), timeout=30))


def exchange(connection: socket.socket, data: bytes) -> bytes:
    """What comes back for `data`, once its sending side is closed."""

    def send() -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    back = bytearray()
    while piece := connection.recv(1 << 16):
        back += piece
    sender.join()
    return bytes(back)


def test_bytes_arrive_unchanged_while_it_is_slow_silent_and_well_by_turns(lab: Cluster) -> None:
    data = random.Random(1).randbytes(24 << 20)
    turns = [Effect("slow", 1, "clients", 20, 20), Effect("cut", 1, "all"), Effect("slow", 1, "all", 5)]
    ended = threading.Event()

    def disturb() -> None:
        while not ended.is_set():
            for effect in turns:
                network.impose(lab, effect)
                ended.wait(0.05)
                network.lift("toy", "proxied", effect)

    disturber = threading.Thread(target=disturb)
    with connect(lab.nodes[0]) as connection:
        disturber.start()
        back = exchange(connection, data)
        ended.set()
        disturber.join()
    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()
    assert network.in_force("toy", "proxied") == []


def test_one_direction_may_end_before_the_other(lab: Cluster) -> None:
    with connect(lab.nodes[0]) as connection:
        assert exchange(connection, b"x" * 100) == b"x" * 100


def test_a_node_that_is_cut_off_from_peers_reaches_none_and_is_reached_by_none(lab: Cluster) -> None:
    one, two = lab.nodes
    ports = {node.id: str(node.listeners["replication"]).encode() for node in lab.nodes}
    with connect(one) as at_one, connect(two) as at_two:
        at_one.sendall(b"from " + ports[2])
        assert at_one.recv(100) == b"hello"
        network.impose(lab, Effect("cut", 1, "peers"))
        at_one.sendall(b"x")
        assert at_one.recv(100) == b"x", "its clients do not reach it any more"
        at_one.sendall(b"from " + ports[2])
        at_two.sendall(b"from " + ports[1])
        for connection in (at_one, at_two):
            connection.settimeout(1)
            with pytest.raises(TimeoutError):
                connection.recv(100)
            connection.settimeout(60)
        assert network.lift("toy", "proxied", Effect("cut", 1, "peers"))
        assert (at_one.recv(100), at_two.recv(100)) == (b"hello", b"hello")


@pytest.mark.parametrize(
    ("scope", "silent"), [("peers", {"peer"}), ("clients", {"client"}), ("all", {"peer", "client"})]
)
def test_at_a_shared_listener_peers_and_clients_are_told_apart(lab: Cluster, scope: str, silent: set[str]) -> None:
    one, two = lab.nodes
    with connect(one, "sql") as ours, connect(two) as at_two:
        network.impose(lab, Effect("cut", 1, scope))
        ours.sendall(b"hello")
        at_two.sendall(b"from %d" % one.listeners["sql"])
        for who, connection in (("client", ours), ("peer", at_two)):
            connection.settimeout(1 if who in silent else 30)
            try:
                assert connection.recv(100) == b"hello"
                assert who not in silent
            except TimeoutError:
                assert who in silent
            connection.settimeout(60)
        assert network.lift("toy", "proxied", Effect("cut", 1, scope))
        back = [connection.recv(100) for who, connection in (("client", ours), ("peer", at_two)) if who in silent]
        assert set(back) == {b"hello"}


def test_connections_that_come_without_end_keep_it_from_no_other(lab: Cluster) -> None:
    one, ended = lab.nodes[0], threading.Event()

    def knock() -> None:
        while not ended.is_set():
            connect(one, "replication").thing.close()

    knockers = [threading.Thread(target=knock) for _ in range(3)]
    for knocker in knockers:
        knocker.start()
    try:
        with connect(one) as connection:
            assert exchange(connection, b"x" * 100) == b"x" * 100
        assert network.in_force("toy", "proxied") == []
    finally:
        ended.set()
        for knocker in knockers:
            knocker.join()


def test_nothing_is_left_of_connections_that_are_over(lab: Cluster) -> None:
    assert lab.proxy is not None
    descriptors = Path(f"/proc/{lab.proxy.pid}/fd")
    one, two = lab.nodes
    begun = len(list(descriptors.iterdir()))
    with connect(one) as connection:
        network.impose(lab, Effect("cut", 1, "peers"))
        port = b"%d" % two.listeners["replication"]
        for _ in range(30):  # as a node does that is cut off and tries again and again
            for command in (b"knock " + port, b"hold " + port, b"drop"):
                connection.sendall(command)
                assert connection.recv(100) == command
        assert len(list(descriptors.iterdir())) < begun + 20
        network.lift("toy", "proxied", Effect("cut", 1, "peers"))
    for effect in (None, Effect("cut", 1, "all"), Effect("slow", 1, "all", 50)):
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(one)) for _ in range(10)]
            for number, client in enumerate(clients):
                client.sendall(b"x")
                if number % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if effect:
                network.impose(lab, effect)
        if effect:
            network.lift("toy", "proxied", effect)
    left = wait_until(lambda: len(list(descriptors.iterdir())) <= begun, 30)
    assert left, f"{begun} at first, now {sorted(os.readlink(it) for it in descriptors.iterdir())}"


def test_a_slow_node_is_slow_for_its_peers_both_ways_and_not_for_itself(lab: Cluster) -> None:
    one, two = lab.nodes
    network.impose(lab, Effect("slow", 1, "peers", 1000))
    for asked, other, slow in ((one, two, True), (two, one, True), (one, one, False)):
        with connect(asked) as connection:
            begun = time.monotonic()
            connection.sendall(b"from %d" % other.listeners["replication"])
            assert connection.recv(100) == b"hello"
            assert (time.monotonic() - begun >= 2) is slow


def test_a_dead_node_refuses_and_one_that_is_started_again_is_reached(lab: Cluster) -> None:
    node = lab.nodes[0]
    assert node.process is not None
    with connect(node) as connection:
        stop([node.process], 0)
        assert ends(connection)
    assert wait_until(lambda: refuses(node), 10), "connections to a dead node are accepted"
    assert accepts(lab.nodes[1].endpoint)
    nodes.start_node("toy", node.id)
    assert wait_until(lambda: accepts(node.endpoint), 30), "the node is not reached again"


def ends(connection: socket.socket) -> bool:
    """Whether the other end is closed, or reset."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def refuses(node: Node) -> bool:
    try:
        with connect(node):
            return False
    except ConnectionRefusedError:
        return True


def test_it_says_what_it_does_not_understand(lab: Cluster) -> None:
    for request in ("x", "[]", "{}", json.dumps({"do": "add", "effect": {"kind": "cut", "node": 1, "scope": "moon"}})):
        with proxy_control.socket_path("toy") as path, closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.connect(path)
            connection.sendall(request.encode() + b"\n")
            assert "does not understand" in json.loads(connection.recv(1000))["error"]
    assert proxy_control.effects("toy") == []


def test_it_ends_with_its_lab_and_without_it_the_lab_is_damaged(lab: Cluster) -> None:
    assert lab.proxy is not None
    assert lab.proxy in supervision.living("toy")
    assert supervision.is_proxied(lab)
    stop([lab.proxy], 0)
    assert not supervision.is_proxied(lab)
    assert network.in_force("toy", "proxied") == []
    assert not network.lift("toy", "proxied", Effect("cut", 1, "all"))
    with pytest.raises(UnavailableError, match="proxy does not run, so nothing was hit"):
        network.impose(lab, Effect("cut", 1, "all"))
    supervision.end("toy")
    assert not any(is_alive(node.process) for node in lab.nodes if node.process)
