"""How much WAL a failover left behind, against the `maximum_lag_on_failover` that Patroni promises. Pure.

Of each timeline that was written the last position is known as it was seen from outside, and how far it may have come
unseen until it was seen no more: the longest stretch that it went in such a time before. Where a timeline was left for
the next is in the cluster's history. What lies between was only on the old primary: it *lacks* in what was promoted.

Patroni compares with what the primary last told etcd, up to `loop_wait` before: more than the limit may lack all the
same, and then the promise was not kept.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CHECK = "within maximum_lag_on_failover"
DEFAULT_LIMIT_BYTES = 1_048_576  # Patroni's own
LOOK_BACK_S = 10.0


@dataclass(frozen=True)
class End:
    """The last that was seen of a timeline: a position in bytes, and how many more may have come unseen."""

    timeline: int
    position: int
    unseen_bytes: int


class Track:
    """Positions of the primary's WAL as they are seen, in the order of time."""

    def __init__(self) -> None:
        self.ends: dict[int, End] = {}
        self._at_s = 0.0
        self._last: tuple[int, int] | None = None
        self._paces: deque[tuple[float, float]] = deque()

    @property
    def newest(self) -> int:
        """The newest timeline that was seen; 0 before there is one."""
        return max(self.ends, default=0)

    def see(self, at_s: float, timeline: int, position: int) -> None:
        """The primary was at `position` of `timeline`, at `at_s` or a little earlier."""
        if self._last is not None and self._last[0] == timeline and at_s > self._at_s:
            self._paces.append((at_s, (position - self._last[1]) / (at_s - self._at_s)))
            while self._paces[0][0] < at_s - LOOK_BACK_S:
                self._paces.popleft()
        self._at_s, self._last = at_s, (timeline, position)
        self.ends[timeline] = End(timeline, position, 0)

    def miss(self, at_s: float) -> None:
        """Nobody said where the primary is, for the first time since it was seen: what it did since is unseen."""
        if self._last is None:
            return
        pace_per_s = max((pace for _, pace in self._paces), default=0.0)
        timeline, position = self._last
        self.ends[timeline] = End(timeline, position, round(pace_per_s * (at_s - self._at_s)))
        self._last = None
        self._paces.clear()


def lacking(ends: Sequence[End], switches: Mapping[int, int], limit_bytes: int) -> tuple[str, bool, str] | None:
    """The check of all failovers that were seen; None if there was none.

    `ends` are those of the timelines that were seen, `switches` the positions at which timelines were left.
    """
    left = sorted(ends, key=lambda it: it.timeline)[:-1]
    if not left:
        return None
    unknown = [str(end.timeline) for end in left if end.timeline not in switches]
    if unknown:
        return CHECK, False, f"not known: Patroni's history does not say where timeline {unknown[0]} was left"
    worst = max(left, key=lambda it: _lacks(it, switches) + it.unseen_bytes)
    lacks, more = _lacks(worst, switches), worst.unseen_bytes
    said = f"what was promoted lacked {lacks:,} bytes of WAL, or up to {more:,} more"
    if lacks > limit_bytes:
        return CHECK, False, f"{said}: more than the {limit_bytes:,} that are allowed"
    if lacks + more > limit_bytes:
        return CHECK, False, f"not known: {said}, and {limit_bytes:,} are allowed"
    return CHECK, True, f"{said}; {limit_bytes:,} are allowed"


def refused(behind_bytes: int, limit_bytes: int) -> tuple[str, bool, str] | None:
    """The check of a time without a primary, in which the best standby was so far behind; None if it might lead."""
    if behind_bytes <= limit_bytes:
        return None
    why = f"Patroni promoted nobody: every standby lacked {behind_bytes:,} bytes of WAL or more"
    return CHECK, False, f"{why}, and {limit_bytes:,} are allowed"


def _lacks(end: End, switches: Mapping[int, int]) -> int:
    return max(0, end.position - switches[end.timeline])
