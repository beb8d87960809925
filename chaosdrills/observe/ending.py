"""What is done at once when a drill is cut short, before its rollbacks have their turn."""

import logging
from collections.abc import Callable
from functools import partial

from chaosdrills.errors import DrillError
from chaosdrills.faults.heal_log import outstanding
from chaosdrills.faults.healing import heal_outstanding
from chaosdrills.host.processes import stop
from chaosdrills.observe.children import descendants
from chaosdrills.observe.drill import ObservedDrill

logger = logging.getLogger("chaostoolkit")

CHILD_GRACE_S = 2.0


def leave_at_once(drill: ObservedDrill) -> None:
    """End what activities have started, heal, and remark on it. Never raises: what could not be done is said."""
    drill.hurry()
    for step in (partial(end_children, drill), partial(heal_at_once, drill), drill.note_abort):
        _do(step)


def heal_left(drill: ObservedDrill) -> None:
    """Heal what is still outstanding of a drill that was aborted. Never raises."""
    drill.hurry()
    _do(partial(heal_at_once, drill))


def _do(step: Callable[[], object]) -> None:
    try:
        step()
    except DrillError as error:
        logger.error(str(error))
    except KeyboardInterrupt:
        logger.error("Leaving the drill was interrupted. Try: run 'chaos drills heal'.")
    except Exception as error:
        logger.error(f"Leaving the drill failed: {error!r}. Try: run 'chaos drills heal'.", exc_info=True)


def end_children(drill: ObservedDrill) -> None:
    """End what activities had started when the abort was asked for, and what they have started since."""
    stop(list({*drill.abort.children, *descendants()}), CHILD_GRACE_S)


def heal_at_once(drill: ObservedDrill) -> None:
    """Heal all that this process injected, whatever rollbacks there are. Raises `DrillError` if something is left."""
    if any(entry.mine for entry in outstanding()[0]):
        with drill.during("heal at once"):
            healing = heal_outstanding(wanted=lambda entry: entry.mine)
        healing.demand()
        logger.info(f"Healed: {', '.join(outcome.what for outcome in healing.outcomes)}")
