"""What a drill does now, and did before: its phases, each with its begin and its end. Any thread may ask."""

from collections.abc import Iterator
from contextlib import contextmanager

from chaosdrills.core.history import NS
from chaosdrills.core.summary import Phase
from chaosdrills.host.clock import boottime_ns

BETWEEN = "between activities"


class Phases:
    """The phases of one drill. `name` is the present one; `stopped_in` the first that did not come to its end."""

    def __init__(self) -> None:
        self.name = "start"
        self.stopped_in = ""
        self._since_ns = boottime_ns()
        self._ended: list[tuple[str, int, int]] = []
        self._entered: dict[str, int] = {}

    @property
    def lasted_s(self) -> float:
        """How long the present phase has lasted."""
        return (boottime_ns() - self._since_ns) / NS

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """Name what the drill does inside the block: shown while it runs, and a phase of the summary."""
        outer, begin_ns = self.name, boottime_ns()
        self._become(name)
        try:
            yield
        except BaseException:
            self.stopped_in = self.stopped_in or name
            raise
        finally:
            self._ended.append((name, begin_ns, boottime_ns()))
            self._become(outer)

    def enter(self, name: str) -> None:
        """An activity begins: it is a phase until `leave`."""
        self._become(name)
        self._entered[name] = boottime_ns()

    def leave(self, name: str, ended: bool) -> None:
        """An activity is over; `ended` unless it was interrupted. One in the background may leave others under way."""
        begin_ns = self._entered.pop(name, None)
        if begin_ns is not None:
            self._ended.append((name, begin_ns, boottime_ns()))
        if not ended:
            self.stopped_in = self.stopped_in or name
        self._become(next(reversed(self._entered), BETWEEN))

    def since(self, origin_ns: int) -> list[Phase]:
        """The phases that have ended, by their begin, in seconds from `origin_ns`."""
        ordered = sorted(self._ended, key=lambda phase: phase[1])
        return [Phase(name, (begin - origin_ns) / NS, (end - origin_ns) / NS) for name, begin, end in ordered]

    def _become(self, name: str) -> None:
        if name != self.name:
            self.name, self._since_ns = name, boottime_ns()
