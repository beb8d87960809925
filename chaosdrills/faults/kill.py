"""Kill: SIGKILL to one node of a lab, by its identity. Its heal starts that node again.

Where the node's process watches over a server of its own, both are killed at once, and what the server has started with
them, as when a machine goes down: nothing is sent any more. Where the target is that server alone, the node goes on and
starts it again: then there is nothing to heal.
"""

import signal

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.node import NodeFault, end_all, offspring_of, victim_of, victims_of

GONE_TIMEOUT_S = 10.0


class Kill(NodeFault):
    """The fault `kill`; see `chaosdrills.faults.fault.Fault`."""

    name = "kill"
    sends = signal.SIGKILL
    hit = "killed"

    def describe(self, target: Target) -> str:
        """ "kill -9 of" and the target's label."""
        return f"kill -9 of {target.label}"

    def inject(self, target: Target) -> None:
        """Kill the process, and the server that it watches over, and wait until they are gone, sockets included.

        Raises `UnavailableError` if it was not running, or outlives SIGKILL by 10 s.
        """
        victim = victim_of(target)
        gone = end_all([*victims_of(target), *offspring_of(target)], self.sends, GONE_TIMEOUT_S)
        if gone is None:
            raise self.not_hit(target)
        if not gone:
            raise UnavailableError(
                f"{target.label} (process {victim.pid}) does not end on SIGKILL.",
                "look at it with 'ps'; the disk may hang.",
            )
