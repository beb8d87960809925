"""Pause: SIGSTOP to one node of a lab, which then answers nothing and closes nothing. Its heal is SIGCONT.

A node that dies while it is paused is started again.
"""

import signal

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.node import NodeFault, node_of, victim_of
from chaosdrills.host.nodes import Node
from chaosdrills.host.processes import is_paused, is_stopping, send_signal, thread_states, wait_until

STOPPED_TIMEOUT_S = 10.0


class Pause(NodeFault):
    """The fault `pause`; see `chaosdrills.faults.fault.Fault`."""

    name = "pause"
    sends = signal.SIGSTOP
    hit = "paused"
    mended = "resumed"

    def describe(self, target: Target) -> str:
        """ "pause of" and the target's label."""
        return f"pause of {target.label}"

    def check(self, target: Target) -> None:
        """Raise `UnavailableError` unless exactly this process lives and is not paused yet."""
        super().check(target)
        if "T" in thread_states(victim_of(target)):
            raise UnavailableError(
                f"{target.label} is paused already: nothing was hit.", "run 'chaos drills heal' first."
            )

    def inject(self, target: Target) -> None:
        """Pause the process and wait until all of its threads stand still.

        Raises `UnavailableError` if it was not running, was paused already, or does not stand still within 10 s: then
        it goes on.
        """
        self.check(target)
        victim = victim_of(target)
        if not send_signal(victim, self.sends):
            raise self.not_hit(target)
        if not wait_until(lambda: is_paused(victim), STOPPED_TIMEOUT_S, poll_s=0.005):
            send_signal(victim, signal.SIGCONT)
            raise UnavailableError(
                f"{target.label} (process {victim.pid}) does not stand still within {STOPPED_TIMEOUT_S:g} s of "
                "SIGSTOP; it goes on.",
                "look at it with 'ps'; the disk may hang.",
            )

    def needs_heal(self, target: Target) -> bool:
        """Whether the lab is still there and the process is paused, or will be, or its node does not run any more."""
        node, victim = node_of(target), victim_of(target)
        return node is not None and (not node.alive or "T" in thread_states(victim) or is_stopping(victim))

    def heal(self, target: Target) -> bool:
        """Let the process go on, or start its node again if it died. Raises `UnavailableError` if it cannot be."""
        if not self.needs_heal(target):
            return False
        return send_signal(victim_of(target), signal.SIGCONT) or super().heal(target)

    def serves(self, node: Node) -> bool:
        """Whether the node goes on and accepts connections; the kernel accepts them for a paused one too."""
        return node.process is not None and "T" not in thread_states(node.process) and super().serves(node)
