"""Nodes of a lab as targets: the process that is hit, and how a node that is gone is started again.

What `kill`, `stop` and `pause` have in common. Their targets' handle is
``{"node": 2, "pid": 123, "start_ticks": 456, "also": [{"pid": 124, "start_ticks": 457}]}``: the node's id in the lab,
the process that is hit, and the server that it watches over, if that is another one (`also` may be missing).
"""

import os
import select
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from typing import Any

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.host.nodes import Cluster, Node, load, start_node
from chaosdrills.host.processes import Identity, family_of, is_alive, send_signal, wait_until
from chaosdrills.host.sockets import accepts


class NodeFault:
    """A fault that signals one node's process: all of `chaosdrills.faults.fault.Fault` but its name and its deed.

    `sends` is its signal, `besides` what is done with it, as the end of a sentence; `hit` and `mended` what became of
    the node then ("killed", "started").
    """

    name = ""
    local = True
    sends: signal.Signals = signal.SIGKILL
    besides = ""
    hit = ""
    mended = "started"

    def check(self, target: Target) -> None:
        """Raise `UnavailableError` unless exactly this process lives."""
        if not all(map(is_alive, victims_of(target))):
            raise self.not_hit(target)

    def needs_heal(self, target: Target) -> bool:
        """Whether the lab is still there and this node of it does not run."""
        node = node_of(target)
        return node is not None and not node.alive

    def heal(self, target: Target) -> bool:
        """Start the node again. Raises `UnavailableError` if it cannot be started."""
        return self.needs_heal(target) and start_node(target.service, target.handle["node"])

    def wait_healed(self, target: Target, timeout_s: float) -> None:
        """Wait until the node accepts connections. Raises `UnavailableError` if it ends instead, or takes longer."""
        node = node_of(target)
        if node is None:
            return

        def settled() -> bool:
            return not node.alive or self.serves(node)

        if not wait_until(settled, timeout_s, poll_s=0.05):
            raise UnavailableError(
                f"{target.label} was {self.mended} but does not accept connections at {node.endpoint} "
                f"after {timeout_s:g} s.",
                f"read its log, {node.log}, and run 'chaos drills heal' again.",
            )
        if not node.alive:
            raise UnavailableError(
                f"{target.label} was {self.mended} and ended at once.",
                f"read its log, {node.log}, and run 'chaos drills heal' again.",
            )

    def serves(self, node: Node) -> bool:
        """Whether a client of the living `node` is served, as far as can be told without its protocol."""
        return accepts(node.endpoint)

    def not_hit(self, target: Target) -> UnavailableError:
        """The error that says so."""
        return UnavailableError(
            f"{target.label} (process {target.handle['pid']}) ended before it was {self.hit}: nothing was hit.",
            "read its log, run 'chaos drills heal', and run the drill again.",
        )


def node_target(cluster: Cluster, node_id: int, label: str, role: str) -> Target:
    """The target for node `node_id` of `cluster`, as it runs now.

    Raises `UnavailableError` if there is no such node or it does not run.
    """
    node = cluster.node(node_id)
    if node.process is None or not node.alive:
        raise UnavailableError(
            f"{label} of the {cluster.service} lab does not run, so nothing can be done to it.",
            "run 'chaos drills heal', and look at 'chaos drills lab status'.",
        )
    server = server_of(cluster, node, label)
    also = {"also": [asdict(server)]} if server != node.process else {}
    return Target(cluster.service, label, role, {"node": node_id, **asdict(node.process), **also})


def server_target(cluster: Cluster, node_id: int, label: str, role: str) -> Target:
    """The target for the server alone that node `node_id` of `cluster` watches over, which may start it again.

    Raises `UnavailableError` if there is no such node or its server does not run.
    """
    server = server_of(cluster, cluster.node(node_id), label)
    return Target(cluster.service, label, role, {"node": node_id, **asdict(server)})


def server_of(cluster: Cluster, node: Node, label: str) -> Identity:
    """The process that serves the clients of `node`. Raises `UnavailableError` if it does not run."""
    server = node.server
    if server is None:
        raise UnavailableError(
            f"the server of {label} of the {cluster.service} lab does not run, so nothing can be done to it.",
            "wait until it is started again, run 'chaos drills heal', and look at 'chaos drills lab status'.",
        )
    return server


def victim_of(target: Target) -> Identity:
    """The node's process that is hit. Raises `KeyError` or `TypeError` if the handle names none."""
    return _identity(target.handle)


def victims_of(target: Target) -> list[Identity]:
    """All processes that are hit, the node's first. Raises `KeyError` or `TypeError` if the handle names none."""
    return [_identity(target.handle), *(_identity(one) for one in target.handle.get("also", ()))]


def offspring_of(target: Target) -> list[Identity]:
    """What the server that a node watches over has started, oldest first."""
    servers = victims_of(target)[1:]
    return sorted(family_of(servers) - set(servers), key=lambda it: (it.start_ticks, it.pid))


def _identity(given: Mapping[str, Any]) -> Identity:
    pid, start_ticks = given["pid"], given["start_ticks"]
    if not isinstance(pid, int) or not isinstance(start_ticks, int) or not 0 < pid < 1 << 31:
        raise TypeError(f"{pid!r} is no process")
    return Identity(pid, start_ticks)


def node_of(target: Target) -> Node | None:
    """The written-down node; None if its lab is gone, was ended by its owner's death, or has no such node."""
    cluster = lab_of(target)
    return next((node for node in cluster.nodes if node.id == target.handle["node"]), None) if cluster else None


def lab_of(target: Target) -> Cluster | None:
    """The written-down lab; None if it is gone, or was ended by its owner's death."""
    cluster = load(target.service)
    return None if cluster is None or (cluster.owner is not None and not is_alive(cluster.owner)) else cluster


def end(victim: Identity, signum: int, timeout_s: float) -> bool | None:
    """Signal a process and wait until it is gone, all its threads and sockets included.

    False if it outlives that by `timeout_s`, None if it was gone before: nothing was signalled then.
    """
    return end_all([victim], signum, timeout_s)


def end_all(victims: Sequence[Identity], signum: int, timeout_s: float) -> bool | None:
    """As `end`, for several at once: all are signalled before any is waited for. None if the first was gone before."""
    with ExitStack() as stack:
        handles = []
        for victim in victims:
            with suppress(ProcessLookupError):
                handles.append(os.pidfd_open(victim.pid))
                stack.callback(os.close, handles[-1])
        hit = [send_signal(victim, signum) for victim in victims]
        return all(_wait_ended(handle, timeout_s) for handle in handles) if hit[0] else None


def _wait_ended(handle: int, timeout_s: float) -> bool:
    """Wait for a pidfd's process, all its threads included; a dying leader alone may still hold its sockets."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
