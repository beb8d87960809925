"""Which operations have no outcome yet. Operations are numbered from 0 in the order of their intended times."""

from array import array
from collections.abc import Sequence

import numpy as np

from chaosdrills.core.history import Ints
from chaosdrills.errors import InternalError

FORGET = 65_536  # settled operations before the oldest in flight are forgotten this many at a time


class InFlight:
    """The intended times of operations from the oldest without an outcome on, and which of them have one.

    `count` is how many have none. Every operation costs 9 bytes until all before it are settled.
    """

    def __init__(self) -> None:
        self.count = 0
        self._intended_ns = array("q")
        self._settled = bytearray()
        self._first = 0  # the number of the first operation kept
        self._oldest = 0  # where among those kept the oldest without an outcome is, or was last seen

    def add(self, intended_ns: Sequence[int]) -> int:
        """Take in operations in flight; returns the number of the first, the others follow it."""
        first = self._first + len(self._intended_ns)
        self._intended_ns.extend(intended_ns)
        self._settled.extend(bytes(len(intended_ns)))
        self.count += len(intended_ns)
        return first

    def settle(self, numbers: Ints) -> Ints:
        """Take out operations that have their outcome, int64[n]; returns their intended times, int64[n].

        Raises `InternalError` for one that is not in flight.
        """
        at = numbers - self._first
        settled = np.frombuffer(self._settled, np.uint8)
        if len(at) and (at.min() < 0 or at.max() >= len(settled) or settled[at].any()):
            raise InternalError("an operation was reported that is not in flight.")
        intended_ns = np.frombuffer(self._intended_ns, np.int64)[at]
        settled[at] = 1
        self.count -= len(at)
        return intended_ns

    def oldest_ns(self) -> int | None:
        """The intended time of the oldest operation in flight; None if there is none."""
        found = self._settled.find(0, self._oldest)
        self._oldest = found if found >= 0 else len(self._settled)
        if self._oldest >= FORGET:
            self._forget()
        return self._intended_ns[self._oldest] if found >= 0 else None

    def numbers(self) -> Ints:
        """The numbers of all operations in flight, ascending."""
        return np.flatnonzero(np.frombuffer(self._settled, np.uint8) == 0) + self._first

    def _forget(self) -> None:
        del self._intended_ns[: self._oldest]
        del self._settled[: self._oldest]
        self._first += self._oldest
        self._oldest = 0
