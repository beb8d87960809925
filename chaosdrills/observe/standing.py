"""How polled endpoints stand now: for people who watch. Pure: no clock, no I/O; verdicts come from the record."""

from collections.abc import Sequence
from typing import Any

from chaosdrills.core.history import NS, Ints, Outcome


class Standing:
    """How one endpoint stands, by polls that may be told of in any order: by the latest one, as it was due."""

    def __init__(self) -> None:
        self._good_ns: int | None = None
        self._bad_since_ns: int | None = None
        self._bad_ns = 0

    def poll(self, invoked_ns: int, good: bool) -> None:
        """Take in one poll."""
        if good:
            self._good_ns = invoked_ns if self._good_ns is None else max(self._good_ns, invoked_ns)
            if self._bad_since_ns is not None and self._bad_since_ns < self._good_ns:
                self._bad_since_ns = self._bad_ns if self._bad_ns > self._good_ns else None
        elif self._good_ns is None or invoked_ns > self._good_ns:
            self._bad_since_ns = invoked_ns if self._bad_since_ns is None else min(self._bad_since_ns, invoked_ns)
            self._bad_ns = max(self._bad_ns, invoked_ns)

    def at(self, now_ns: int) -> dict[str, Any]:
        """`good`: null before the first poll; `bad_s`: for how long it has been bad, 0 if it is not."""
        since_ns = self._bad_since_ns
        known = since_ns is not None or self._good_ns is not None
        bad_s = 0.0 if since_ns is None else max(0, now_ns - since_ns) / NS
        return {"good": since_ns is None if known else None, "bad_s": bad_s}


class Standings:
    """How all endpoints stand; an answer later than `slow_ns` is bad."""

    def __init__(self, names: Sequence[str], slow_ns: int) -> None:
        self._slow_ns = slow_ns
        self._standings = {name: Standing() for name in names}

    def polls(self, table: Ints) -> None:
        """Take in polls: int64[n, 5] of stream, seq, invoked_ns, completed_ns, outcome."""
        standings = list(self._standings.values())
        for stream, _, invoked_ns, completed_ns, outcome in table.tolist():
            standings[stream].poll(invoked_ns, outcome == Outcome.OK and completed_ns - invoked_ns <= self._slow_ns)

    def at(self, now_ns: int) -> dict[str, dict[str, Any]]:
        """Each endpoint at `now_ns`, as `Standing.at`."""
        return {name: standing.at(now_ns) for name, standing in self._standings.items()}
