"""Kill: SIGKILL to one node of a lab, by its identity. Its heal starts that node again.

The handle is ``{"node": 2, "pid": 123, "start_ticks": 456}``: the node's id in the lab, and the process that is killed.
"""

import os
import select
import signal
import socket
from contextlib import suppress

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.host.nodes import Cluster, Node, load, start_node
from chaosdrills.host.processes import Identity, is_alive, send_signal, wait_until

GONE_TIMEOUT_S = 10.0


class Kill:
    """The fault `kill`; see `chaosdrills.faults.fault.Fault`."""

    name = "kill"

    def describe(self, target: Target) -> str:
        """ "kill -9 of" and the target's label."""
        return f"kill -9 of {target.label}"

    def check(self, target: Target) -> None:
        """Raise `UnavailableError` unless exactly this process lives."""
        if not is_alive(_victim(target)):
            raise _not_hit(target)

    def inject(self, target: Target) -> None:
        """Kill the process and wait until it is gone, sockets included.

        Raises `UnavailableError` if it was not running, or outlives SIGKILL by 10 s.
        """
        victim = _victim(target)
        try:
            handle = os.pidfd_open(victim.pid)
        except ProcessLookupError as error:
            raise _not_hit(target) from error
        try:
            if not send_signal(victim, signal.SIGKILL):
                raise _not_hit(target)
            gone = _wait_ended(handle, GONE_TIMEOUT_S)
        finally:
            os.close(handle)
        if not gone:
            raise UnavailableError(
                f"{target.label} (process {victim.pid}) does not end on SIGKILL.",
                "look at it with 'ps'; the disk may hang.",
            )

    def needs_heal(self, target: Target) -> bool:
        """Whether the lab is still there and this node of it does not run."""
        node = _node(target)
        return node is not None and not node.alive

    def heal(self, target: Target) -> bool:
        """Start the node again. Raises `UnavailableError` if it cannot be started."""
        return self.needs_heal(target) and start_node(target.service, target.handle["node"])

    def wait_healed(self, target: Target, timeout_s: float) -> None:
        """Wait until the node accepts connections. Raises `UnavailableError` if it ends instead, or takes longer."""
        node = _node(target)
        if node is None:
            return

        def settled() -> bool:
            return not node.alive or _accepts(node.endpoint)

        if not wait_until(settled, timeout_s, poll_s=0.05):
            raise UnavailableError(
                f"{target.label} was started but does not accept connections at {node.endpoint} after {timeout_s:g} s.",
                f"read its log, {node.log}, and run 'chaos drills heal' again.",
            )
        if not node.alive:
            raise UnavailableError(
                f"{target.label} was started and ended at once.",
                f"read its log, {node.log}, and run 'chaos drills heal' again.",
            )


def kill_target(cluster: Cluster, node_id: int, label: str, role: str) -> Target:
    """The target for node `node_id` of `cluster`, as it runs now.

    Raises `UnavailableError` if there is no such node or it does not run.
    """
    node = cluster.node(node_id)
    if node.process is None or not node.alive:
        raise UnavailableError(
            f"{label} of the {cluster.service} lab does not run, so it cannot be killed.",
            "run 'chaos drills heal', and look at 'chaos drills lab status'.",
        )
    handle = {"node": node_id, "pid": node.process.pid, "start_ticks": node.process.start_ticks}
    return Target(cluster.service, label, role, handle)


def _victim(target: Target) -> Identity:
    return Identity(target.handle["pid"], target.handle["start_ticks"])


def _node(target: Target) -> Node | None:
    """The written-down node; None if its lab is gone, was ended by its owner's death, or has no such node."""
    cluster = load(target.service)
    if cluster is None or (cluster.owner is not None and not is_alive(cluster.owner)):
        return None
    return next((node for node in cluster.nodes if node.id == target.handle["node"]), None)


def _not_hit(target: Target) -> UnavailableError:
    return UnavailableError(
        f"{target.label} (process {target.handle['pid']}) ended before it was killed: nothing was hit.",
        "read its log, run 'chaos drills heal', and run the drill again.",
    )


def _wait_ended(handle: int, timeout_s: float) -> bool:
    """Wait for a pidfd's process, all its threads included; a dying leader alone may still hold its sockets."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _accepts(endpoint: str) -> bool:
    host, port = endpoint.rsplit(":", 1)
    with suppress(OSError), socket.create_connection((host, int(port)), timeout=1.0):
        return True
    return False
