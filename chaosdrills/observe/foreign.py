"""Faults and heals of other extensions, which know nothing of drills: the observe control marks them for them."""

import logging
from collections.abc import Mapping
from typing import Any

from chaosdrills.errors import DrillError
from chaosdrills.observe.activities import hit_nothing, refused
from chaosdrills.observe.drill import ObservedDrill
from chaosdrills.observe.steps import marker_of

logger = logging.getLogger("chaostoolkit")

OURS = "chaosdrills."


class Foreign:
    """The marks of one drill's actions that are named as its `faults` or `heals` and do not mark themselves."""

    def __init__(self, faults: frozenset[str] = frozenset(), heals: frozenset[str] = frozenset()) -> None:
        self.faults = faults
        self._heals = heals

    def begin(self, drill: ObservedDrill, activity: Mapping[str, Any]) -> None:
        """Before the activity: mark its begin. Raises `DrillError` if it is a fault that must not be injected."""
        name = activity.get("name", "")
        if _is_foreign(activity, self.faults) and not drill.method_over:
            marker_of(drill)("fault_begin", name, None)
            drill.not_undone.add(name)
        if _is_foreign(activity, self._heals) and not drill.over:
            _mark_or_note(drill, "heal_begin", name)  # a heal is done whether it can be marked or not

    def end(self, drill: ObservedDrill, activity: Mapping[str, Any], run: Mapping[str, Any] | None) -> None:
        """After the activity, whose `run` is None if it was interrupted: mark that it succeeded."""
        if not run or run.get("status") != "succeeded":
            return
        name = activity.get("name", "")
        if _is_foreign(activity, self.faults) and not drill.method_over:
            _end_fault(drill, name, run)
        if _is_foreign(activity, self._heals) and not drill.over:
            _end_heal(drill, name, run)

    def may_inject(self, activity: Mapping[str, Any]) -> bool:
        """Whether the activity is a fault, or one of ours that may be."""
        module = activity.get("provider", {}).get("module", "")
        ours = activity.get("type") == "action" and module.startswith(OURS)
        return not activity.get("dry") and (activity.get("name") in self.faults or ours)

    def held_at(self, method: list[dict[str, Any]]) -> str:
        """The activity before which a drill holds; empty: before the method begins.

        That is the first that may inject. One in the background begins while others go on, so nothing could hold them.
        """
        for activity in method:
            if activity.get("background"):
                return ""
            if self.may_inject(activity):
                return str(activity.get("name", ""))
        return ""


def _is_foreign(activity: Mapping[str, Any], names: frozenset[str]) -> bool:
    """Whether this is one of `names` that is really done and does not mark itself."""
    module = activity.get("provider", {}).get("module", "")
    return activity.get("name") in names and not module.startswith(OURS) and not activity.get("dry")


def _end_fault(drill: ObservedDrill, name: str, run: Mapping[str, Any]) -> None:
    """Mark the end of another extension's fault, if it hit something."""
    why = hit_nothing(run)
    if why:
        drill.note_error(f"the fault {name!r} hit nothing: {why}")
        logger.error(f"The fault {name!r} hit nothing: {why}")
        return
    _mark_or_note(drill, "fault_end", name)


def _end_heal(drill: ObservedDrill, name: str, run: Mapping[str, Any]) -> None:
    """Mark the end of another extension's heal, unless it failed after all."""
    why = refused(run)
    if why:
        drill.note_error(f"the heal {name!r} failed: {why}")
    else:
        drill.not_undone.clear()
        _mark_or_note(drill, "heal_end", name)


def _mark_or_note(drill: ObservedDrill, mark: str, name: str) -> None:
    try:
        drill.mark(mark, name)
    except DrillError as error:
        drill.note_error(error.message)
        logger.error(str(error))
