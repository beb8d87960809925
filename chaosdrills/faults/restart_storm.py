"""Restart storm: one node of a lab is killed and started again, `times` times in a row, every `every_s` seconds.

The handle is that of `chaosdrills.faults.node`, and ``"times"`` and ``"every_s"``. It ends with a kill: the last start
is its heal's. Whether the node has come up between two kills is no matter: in a storm nobody waits for that. It is for
nodes that are their server themselves.
"""

import time
from dataclasses import replace

from chaosdrills.errors import UnavailableError
from chaosdrills.faults.fault import Target
from chaosdrills.faults.kill import Kill
from chaosdrills.faults.node import node_of
from chaosdrills.host.nodes import start_node

TIMES, EVERY_S = 5, 2.0


class RestartStorm(Kill):
    """The fault `restart_storm`; see `chaosdrills.faults.fault.Fault`."""

    name = "restart_storm"
    besides = ", again and again"

    def describe(self, target: Target) -> str:
        """ "5 kills, one every 2 s, of" and the target's label."""
        times, every_s = _storm_of(target)
        return f"restart storm of {target.label}: kill -9 {times} times, every {every_s:g} s"

    def inject(self, target: Target) -> None:
        """Kill the node and start it again, so many times; the last kill has no start.

        Raises `UnavailableError` if it was not running, outlives SIGKILL, or cannot be started.
        """
        times, every_s = _storm_of(target)
        begun = time.monotonic()
        super().inject(target)
        for turn in range(1, times):
            start_node(target.service, target.handle["node"])
            time.sleep(max(0.0, begun + turn * every_s - time.monotonic()))
            super().inject(_as_it_runs(target))


def storming(target: Target, times: int, every_s: float) -> Target:
    """`target`, to be killed `times` times, every `every_s` seconds."""
    return replace(target, handle={**target.handle, "times": times, "every_s": every_s})


def _storm_of(target: Target) -> tuple[int, float]:
    return int(target.handle.get("times", TIMES)), float(target.handle.get("every_s", EVERY_S))


def _as_it_runs(target: Target) -> Target:
    """`target` with the process that the node is now. Raises `UnavailableError` if its lab is gone or it has ended."""
    node = node_of(target)
    if node is None or node.process is None or not node.alive:
        raise UnavailableError(
            f"{target.label} ended by itself after it was started again, in the middle of its restart storm.",
            "read its log, and run 'chaos drills heal'.",
        )
    process = {"pid": node.process.pid, "start_ticks": node.process.start_ticks}
    return replace(target, handle={"node": node.id, **process})
