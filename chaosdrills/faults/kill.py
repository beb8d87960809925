"""Kill: SIGKILL to one node of a lab, by its identity. Its heal starts that node again."""

import signal

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.node import NodeFault, end, victim_of

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
        """Kill the process and wait until it is gone, sockets included.

        Raises `UnavailableError` if it was not running, or outlives SIGKILL by 10 s.
        """
        victim = victim_of(target)
        gone = end(victim, self.sends, GONE_TIMEOUT_S)
        if gone is None:
            raise self.not_hit(target)
        if not gone:
            raise UnavailableError(
                f"{target.label} (process {victim.pid}) does not end on SIGKILL.",
                "look at it with 'ps'; the disk may hang.",
            )
