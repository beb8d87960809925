"""Steps of the observe control that need no Chaos Toolkit: what is noted of a drill, said of it, and doubted."""

import logging
from collections.abc import Mapping
from typing import Any

from chaosdrills.core.summary import Check
from chaosdrills.faults import lock, marking
from chaosdrills.observe.current import current
from chaosdrills.observe.drill import ObservedDrill
from chaosdrills.observe.outside import word_left

logger = logging.getLogger("chaostoolkit")


def marker_of(drill: ObservedDrill) -> marking.Marker:
    """Marks in the drill's record; from its first fault on the drill keeps the lock until it has ended.

    A fault of another one while this is still watched or read back would be taken for what this one did.
    """

    def mark(name: str, label: str, at_ns: int | None = None) -> None:
        if name == "fault_begin":
            lock.hold(str(drill.folder), keep=True)
        drill.mark(name, label, at_ns)

    return mark


def doubt(drill: ObservedDrill, unnamed: list[str]) -> None:
    """What may have been healed by somebody is no recovery by itself."""
    if unnamed:
        names = ", ".join(map(repr, unnamed))
        why = f"does {names} heal the fault? Name it in heals of the observe control, or give heals as []"
        drill.checks.append(Check("heals are named", False, why))
        logger.warning(f"This drill cannot be met: {why}")


def tell_not_polled(drill: ObservedDrill) -> None:
    """Say which endpoints are not polled, and what is then not judged: nobody must take that for a good answer."""
    names = ", ".join(drill.plan.not_polled)
    if names:
        then = "" if drill.plan.polls else "; for how long users could not go on is not judged"
        why = f"{names} is not polled, for its URL is empty{then}"
        drill.checks.append(Check("polls", True, why))
        logger.warning(f"Endpoints: {why}")


def note_error(reason: str) -> None:
    """Keep the first error of a drill: it is why its verdict is not known."""
    drill = current()
    if drill is not None:
        drill.note_error(reason)


def leave() -> None:
    """The run is being left: what waits in the background may inject nothing."""
    drill = current()
    if drill is not None:
        drill.abort.left = True


def tell_configuration(configuration: dict[str, Any], service: str, facts: Mapping[str, Any]) -> None:
    """Give activities what the workload said of itself, such as `kafka_topic`; never over what the user set."""
    for name, value in facts.items():
        if not configuration.get(f"{service}_{name}"):
            configuration[f"{service}_{name}"] = value


def take_word(drill: ObservedDrill) -> None:
    """Know of heals from outside that could not be marked."""
    healed = word_left()
    if healed:
        drill.checks.append(Check("healed by itself", False, f"somebody healed it from outside, unmarked: {healed}"))


def tell_left(drill: ObservedDrill) -> None:
    """Say what the rollbacks, the last chance of a run, did not heal."""
    left = drill.check_left()
    if left:
        logger.error(f"{left} is still not healed. Try: run 'chaos drills heal'.")
