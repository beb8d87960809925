"""What a fault on a node would do, in words, for previews: nothing is done, and nothing is asked."""

import shlex
from typing import Any

from chaosdrills.faults.fault import Fault, Target
from chaosdrills.faults.network import NetworkFault
from chaosdrills.faults.node import NodeFault, victims_of


def described(fault: Fault, target: Target, node_id: int, address: str, besides: str = "") -> dict[str, Any]:
    """`{"broker", "noun", "address", "why", "by", "heal", "check"}` of one hit.

    `besides` is what else is done here than the signal, as the end of a sentence; the fault's own if it is empty.
    """
    handle = target.handle
    hit = {
        "broker": node_id,
        "noun": "node",
        "address": address,
        "why": target.label,
        "check": shlex.join(handle.get("check", [])),
    }
    if isinstance(fault, NodeFault):
        processes = " and ".join(str(it.pid) for it in victims_of(target))
        heal = f"node {node_id} of the lab is {fault.mended}, if it does not run"
        return hit | {"by": f"{fault.sends.name} to process {processes}{besides or fault.besides}", "heal": heal}
    if isinstance(fault, NetworkFault):
        by = f"{fault.describe(target)}, by the {handle['network']} network of the lab"
        return hit | {"by": by, "heal": "the cut is lifted"}
    return hit | {"by": shlex.join(handle["inject"]), "heal": shlex.join(handle["heal"])}


def means_of(fault: Fault) -> str:
    """By what a fault of the lab is done: a signal and what comes with it, or its name."""
    return f"{fault.sends.name}{fault.besides}" if isinstance(fault, NodeFault) else fault.name
