"""Pause: SIGSTOP to one node of a lab, which then answers nothing and closes nothing. Its heal is SIGCONT.

Where the node's process watches over a server of its own, that and all that it has started stand still too. A node that
dies while it is paused is started again.
"""

import signal

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.node import NodeFault, node_of, offspring_of, victim_of, victims_of
from chaosdrills.host.nodes import Node
from chaosdrills.host.processes import (
    Identity,
    is_alive,
    is_paused,
    is_stopping,
    send_signal,
    thread_states,
    wait_until,
)

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
        """Raise `UnavailableError` unless exactly these processes live and none is paused yet."""
        super().check(target)
        if any("T" in thread_states(one) for one in victims_of(target)):
            raise UnavailableError(
                f"{target.label} is paused already: nothing was hit.", "run 'chaos drills heal' first."
            )

    def inject(self, target: Target) -> None:
        """Pause the process, the server that it watches over and what that has started; wait until all stand still.

        Raises `UnavailableError` if it was not running, was paused already, or does not stand still within 10 s: then
        it goes on.
        """
        self.check(target)
        victim = victim_of(target)
        if not send_signal(victim, self.sends):
            raise self.not_hit(target)
        for one in victims_of(target)[1:]:
            send_signal(one, self.sends)
        for one in offspring_of(target):  # a server that is stopped starts no more
            send_signal(one, self.sends)
        if not wait_until(lambda: all(map(is_paused, _alive(target))), STOPPED_TIMEOUT_S, poll_s=0.005):
            self._resume(target)
            raise UnavailableError(
                f"{target.label} (process {victim.pid}) does not stand still within {STOPPED_TIMEOUT_S:g} s of "
                "SIGSTOP; it goes on.",
                "look at it with 'ps'; the disk may hang.",
            )

    def needs_heal(self, target: Target) -> bool:
        """Whether the lab is still there and a process is paused, or will be, or its node does not run any more."""
        node = node_of(target)
        if node is None:
            return False
        return not node.alive or any("T" in thread_states(one) or is_stopping(one) for one in _alive(target))

    def heal(self, target: Target) -> bool:
        """Let all go on, or start the node again if it died. Raises `UnavailableError` if it cannot be."""
        if not self.needs_heal(target):
            return False
        return self._resume(target) or super().heal(target)

    def serves(self, node: Node) -> bool:
        """Whether the node goes on and accepts connections; the kernel accepts them for a paused one too."""
        standing = [one for one in (node.process, node.server) if one is not None and "T" in thread_states(one)]
        return node.process is not None and not standing and super().serves(node)

    def _resume(self, target: Target) -> bool:
        """Let all go on, what was started first; false if the node's own process is gone."""
        for one in [*offspring_of(target), *reversed(victims_of(target)[1:])]:
            send_signal(one, signal.SIGCONT)
        return send_signal(victim_of(target), signal.SIGCONT)


def _alive(target: Target) -> list[Identity]:
    return [one for one in (*victims_of(target), *offspring_of(target)) if is_alive(one)]
