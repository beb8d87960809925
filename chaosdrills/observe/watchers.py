"""What accompanies a running drill from threads of its own: its progress on the screen, its desk, its sentry."""

import logging

from chaosdrills.errors import UnavailableError
from chaosdrills.observe.desk import Desk
from chaosdrills.observe.drill import ObservedDrill
from chaosdrills.observe.hold import at_terminal
from chaosdrills.observe.progress import Progress
from chaosdrills.observe.sentry import Sentry

logger = logging.getLogger("chaostoolkit")


class Watchers:
    """Those of one drill. None of them fails it."""

    def __init__(self, drill: ObservedDrill, shown: bool = True) -> None:
        self._drill = drill
        self._desk = Desk(drill)
        self._progress = Progress(drill, shown)
        self._sentry = None if drill.plan.abort_when is None else Sentry(drill, drill.plan.abort_when)

    def begin(self) -> None:
        """Start all. Raises `UnavailableError` if the drill is to hold and nobody could let it go on."""
        try:
            self._desk.open()
        except UnavailableError as error:
            if self._drill.hold is not None and not at_terminal():
                raise
            logger.warning(str(error))
        self._progress.begin()
        if self._sentry is not None:
            self._sentry.begin()

    def end(self) -> None:
        """Stop all. Idempotent."""
        if self._sentry is not None:
            self._sentry.end()
        self._progress.end()
        self._desk.close()
