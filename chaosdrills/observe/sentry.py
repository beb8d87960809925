"""Watches a drill's abort conditions while its load goes on, from a thread of its own."""

import logging
import threading
import time
from typing import Any

from chaosdrills.errors import DrillError, UsageError
from chaosdrills.observe.conditions import Conditions, Watch
from chaosdrills.observe.drill import ObservedDrill

logger = logging.getLogger("chaostoolkit")

POLL_S = 0.25


def refuse_blind(drill: ObservedDrill) -> None:
    """Raise `UsageError` if an abort condition, or a limit of the drill, could never be seen: before it is needed."""
    conditions, figures = drill.plan.abort_when, drill.figures()
    nobody = "nothing reads what this workload writes."
    if figures.get("stream_kind") == "register":
        nobody = "it is not defined for registers, whose reads count for recovery."
    if conditions is not None and conditions.age_s is not None and figures["age_s"] is None:
        raise UsageError(
            f"the abort condition age_s cannot be watched: {nobody}",
            "use bad_share in abort_when, or a workload with a reader.",
        )
    if drill.plan.limits.fresh and figures["age_s"] is None:
        raise UsageError(
            f"the hypothesis bounds fresh_judged_s, which cannot be known: {nobody}",
            "take that probe out of it, or use a workload with a reader.",
        )


class Sentry:
    """Looks from `begin` to `end`, and cuts the drill short when a condition holds."""

    def __init__(self, drill: ObservedDrill, conditions: Conditions) -> None:
        self._drill = drill
        self._watch = Watch(conditions)
        self._over = threading.Event()

    def begin(self) -> None:
        """Start looking."""
        threading.Thread(target=self._run, name="abort conditions", daemon=True).start()

    def end(self) -> None:
        """Look no more. Idempotent."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(POLL_S) and not self._drill.over and not self._drill.abort.why:
            if self._drill.since_fault_s is None or not self._drill.under_load:
                continue
            figures = self._figures()  # which takes its time where the observer hangs
            why = self._watch.look(time.monotonic(), figures)
            if why:
                logger.error(f"Abort condition: {why}")
                self._drill.cut_short(f"its abort condition ({why})")

    def _figures(self) -> dict[str, Any] | None:
        try:
            return self._drill.figures()
        except DrillError:
            return None
