"""Healing at once when a drill is cut short, before its rollbacks have their turn."""

import logging

from chaosdrills.errors import DrillError
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.observe.drill import ObservedDrill

logger = logging.getLogger("chaostoolkit")


def heal_at_once(drill: ObservedDrill) -> None:
    """Heal all that this process injected, whatever rollbacks there are. Never raises: what is left is said."""
    try:
        if not any(entry.mine for entry in outstanding()[0]):
            return
        with drill.during("heal at once"):
            healing = heal_outstanding(wanted=lambda entry: entry.mine)
        healing.demand()
        logger.info(f"Healed: {', '.join(outcome.what for outcome in healing.outcomes)}")
    except DrillError as error:
        logger.error(f"Not all is healed: {error}")
    except KeyboardInterrupt:
        logger.error("Healing was interrupted. Try: run 'chaos drills heal'.")
