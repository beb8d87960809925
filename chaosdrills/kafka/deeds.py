"""What the actions do to brokers and undo: choose, hit, and heal. Nothing here knows the Chaos Toolkit.

What needs the driver is imported when it is called: brokers are healed without one.
"""

import logging
from collections.abc import Mapping
from typing import Any

from chaosdrills.faults import injection
from chaosdrills.faults.command import Command, said
from chaosdrills.faults.healing import alone

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
