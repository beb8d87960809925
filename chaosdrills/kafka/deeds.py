"""What the actions do to brokers and undo: choose, hit, and heal. Nothing here knows the Chaos Toolkit.

What needs the driver is imported when it is called: brokers are healed without one.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from chaosdrills.faults import injection
from chaosdrills.faults.command import Command, said
from chaosdrills.faults.heal_log import Entry
from chaosdrills.faults.healing import alone, heal_outstanding
from chaosdrills.faults.lab import is_lab
from chaosdrills.host.nodes import load

SERVICE = "kafka"

logger = logging.getLogger("chaostoolkit")


def hit(deed: str, done: str, given: Mapping[str, Any], topic: str) -> dict[str, Any]:
    """Choose brokers and hit them, as an action was `given`; the lock is held from before anything is looked at.

    `topic` is the drill's own. Returns `{done: 1, "brokers": "2", "what": ...}`, and the `output` of a command. Raises
    `DrillError`.
    """
    from chaosdrills.kafka import targeting
    from chaosdrills.kafka.admin import connection_of

    connection = connection_of(given["configuration"], given["secrets"])
    means = targeting.Means.of(given, given["secrets"])
    wish = targeting.wish_of(given, topic)
    with alone():
        lacks = targeting.refuse_degraded(means, connection)
        aimed = targeting.aim(deed, wish, means, connection)
        if lacks:
            logger.warning(f"The cluster is degraded already ({lacks}); it is hit all the same")
        what = " and ".join(aimed.fault.describe(each) for each in aimed.targets)
        logger.info(f"About to hit {len(aimed.brokers)} broker{'s' * (len(aimed.brokers) > 1)}: {what}")
        result = {done: len(aimed.targets), "brokers": ", ".join(map(str, aimed.brokers))}
        result["what"] = injection.inject(aimed.fault, aimed.targets)
    if isinstance(aimed.fault, Command):
        result["output"] = "; ".join(filter(None, (said(each, "inject") for each in aimed.targets)))
    return result


def healed(servers: str, wanted: Callable[[Entry], bool]) -> dict[str, Any]:
    """Heal the entries that are `wanted`: of commands those of this drill, and those of the lab if this is its cluster.

    `servers` are the experiment's, empty if it has none. What an earlier drill left in the lab, or has done elsewhere,
    is not this drill's to heal, and its marks would be no evidence of it. Raises `UnavailableError` for what is left.
    """
    elsewhere = bool(servers) and load(SERVICE) is not None and not is_lab(SERVICE, servers)

    def ours(entry: Entry) -> bool:
        return entry.mine if entry.fault == Command.name else not (elsewhere or entry.held)

    healing = heal_outstanding(SERVICE, lambda entry: ours(entry) and wanted(entry))
    healing.demand()
    return {"healed": healing.count("healed"), "nothing_to_do": healing.count("nothing to do")}
