"""A toy cluster: real HTTP servers on loopback, written down as a lab is, up in a fraction of a second."""

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from chaosdrills.host import nodes, packet_filter
from chaosdrills.host.nodes import Cluster, Node
from chaosdrills.host.processes import spawn, stop, wait_until
from chaosdrills.lab import networks

SERVICE = "toy"


def answers(endpoint: str, timeout_s: float = 5) -> bool:
    """A client's view: whether the server at `endpoint` answers an HTTP request."""
    host, port = endpoint.split(":")
    with suppress(OSError), socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
        connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        return connection.recv(5) == b"HTTP/"
    return False


@contextmanager
def toy_cluster(folder: Path, ids: Sequence[int] = (1, 2, 3), network: str = "plain") -> Iterator[Cluster]:
    """A running cluster of servers on a network of this kind; all that were ever started are ended."""
    ports = _free_ports(2 * len(ids))
    servers = [_node(node_id, ports.pop(), ports.pop(), folder, network) for node_id in ids]
    written = Cluster(SERVICE, ",".join(node.endpoint for node in servers), servers, network=network)
    nodes.save(written)
    started: list[Node] = []
    try:
        if network == "proxied":
            written.proxy = spawn(
                [sys.executable, "-m", "chaosdrills.lab.proxy", SERVICE], folder / "proxy.log", Path("/")
            )
            nodes.save(written)
        for node_id in ids:
            nodes.start_node(SERVICE, node_id)
        cluster = now()
        started = cluster.nodes
        for node in cluster.nodes:
            assert wait_until(lambda node=node: answers(node.endpoint), 20), f"{node.endpoint} does not answer"
        yield cluster
    finally:
        left = nodes.load(SERVICE)
        every = [*started, *(left.nodes if left else [])]
        stop([it for it in (written.proxy, *(node.process for node in every)) if it])
        if network == "filtered":
            packet_filter.clear(SERVICE)
        nodes.forget(SERVICE)


def now() -> Cluster:
    """The cluster as it is written down now."""
    cluster = nodes.load(SERVICE)
    assert cluster is not None
    return cluster


def _node(node_id: int, port: int, behind: int, folder: Path, network: str) -> Node:
    own = behind if network == "proxied" else port
    argv = [sys.executable, "-m", "http.server", str(own), "--bind", "127.0.0.1", "--directory", str(folder)]
    log = str(folder / f"{node_id}.log")
    node = Node(node_id, f"127.0.0.1:{port}", argv, {"PATH": ""}, str(folder), log, str(folder))
    node.listeners, node.behind = {"client": port}, {"client": behind} if network == "proxied" else {}
    return networks.with_own_user(node) if network == "filtered" else node


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
