"""A source of counts for tests: a file with lines of instants, ``now`` or nanoseconds; it is gone as its file is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaosdrills.core.history import Outcome
from chaosdrills.errors import UsageError
from chaosdrills.observe.counts import NotSeen, Seen


class Counting:
    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.path = Path(arguments["path"])
        self.closed = False
        self._known = 0

    @staticmethod
    def check(arguments: Mapping[str, Any]) -> None:
        if "path" not in arguments:
            raise UsageError("a path is missing.", "name a file.")

    def look(self, timeout_s: float) -> Seen:
        try:
            instants = [int(line) for line in self.path.read_text().split()]
        except FileNotFoundError as error:
            raise NotSeen("it is gone", Outcome.UNKNOWN) from error
        new, self._known = range(self._known, len(instants)), len(instants)
        return Seen(len(instants), tuple((instants[index], index + 1) for index in new))

    def close(self) -> None:
        self.closed = True
