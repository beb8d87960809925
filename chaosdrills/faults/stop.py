"""Stop: SIGTERM to one node of a lab, which ends in good order. Its heal starts that node again.

The handle is that of `chaosdrills.faults.node`, and ``"timeout_s"``: how long the node may take to end.

A node that was told to end is not whole again because it still runs: it may end at any time. So that is written down
with the lab before the signal, and both a node that does not end in time and one whose stop is interrupted are killed:
afterwards it is down, and its heal starts it.
"""

import signal
from dataclasses import replace

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.node import NodeFault, end, node_of, victim_of
from chaosdrills.host.nodes import note_stopping
from chaosdrills.host.processes import Identity, is_paused, uninterrupted

STOP_TIMEOUT_S = 60.0
KILLED_TIMEOUT_S = 10.0


class Stop(NodeFault):
    """The fault `stop`; see `chaosdrills.faults.fault.Fault`."""

    name = "stop"
    sends = signal.SIGTERM
    hit = "stopped"

    def describe(self, target: Target) -> str:
        """ "stop of" and the target's label."""
        return f"stop of {target.label}"

    def check(self, target: Target) -> None:
        """Raise `UnavailableError` unless exactly this process lives and can take the signal."""
        super().check(target)
        if is_paused(victim_of(target)):
            raise UnavailableError(
                f"{target.label} is paused, so it cannot end in good order: nothing was hit.",
                "run 'chaos drills heal' first.",
            )

    def inject(self, target: Target) -> None:
        """Tell the process to end and wait until it is gone, sockets included.

        Raises `UnavailableError` if it was not running, or does not end in time: then it is killed, for a node that is
        about to end can neither be drilled with nor be healed.
        """
        victim, timeout_s = victim_of(target), float(target.handle.get("timeout_s", STOP_TIMEOUT_S))
        noted = False
        try:
            with uninterrupted():
                note_stopping(target.service, victim)
                noted = True
            gone = end(victim, self.sends, timeout_s)
        except BaseException:
            if noted:
                _kill(target, victim)
            raise
        if gone is None:
            raise self.not_hit(target)
        if not gone:
            _kill(target, victim)
            raise UnavailableError(
                f"{target.label} (process {victim.pid}) did not end within {timeout_s:g} s of SIGTERM, and was killed.",
                "read its log; give it more time with 'timeout_s', or drill with a kill.",
            )

    def needs_heal(self, target: Target) -> bool:
        """Whether the lab is still there and this node of it does not run, or was told to end."""
        node = node_of(target)
        return node is not None and (not node.alive or node.stopping)

    def heal(self, target: Target) -> bool:
        """Start the node again, once it is down. Raises `UnavailableError` if it cannot be started."""
        node = node_of(target)
        if node is not None and node.stopping and node.process is not None:
            _kill(target, node.process)
        return super().heal(target)


def stopping_within(target: Target, timeout_s: float) -> Target:
    """`target`, which may take `timeout_s` to end in good order."""
    return replace(target, handle={**target.handle, "timeout_s": timeout_s})


def _kill(target: Target, process: Identity) -> None:
    """Have it down, whatever it was about to do. Raises `UnavailableError` if it outlives SIGKILL by 10 s."""
    if end(process, signal.SIGKILL, KILLED_TIMEOUT_S) is False:
        raise UnavailableError(
            f"{target.label} (process {process.pid}) does not end on SIGKILL.",
            "look at it with 'ps'; the disk may hang.",
        )
