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


def judged(
    ends: Sequence[End], switches: Mapping[int, int], behind_bytes: int, limit_bytes: int
) -> tuple[str, bool, str] | None:
    """The check of all failovers that were seen, or missing; None if there was none.

    `ends` are those of the timelines that were seen, `switches` the positions at which timelines were left.
    `behind_bytes` is how far the best standby was behind when it should have led already: 0 if that never was.
    """
    left = sorted(ends, key=lambda it: it.timeline)[:-1]
    known = [it for it in left if it.timeline in switches]
    worst = max(known, key=lambda it: it.position + it.unseen_bytes - switches[it.timeline], default=None)
    lacks = max((_lacks(it, switches) for it in known), default=0)
    if behind_bytes > limit_bytes >= lacks:  # else it was promoted all the same
        why = f"Patroni promoted nobody: every standby lacked {behind_bytes:,} bytes of WAL or more"
        return CHECK, False, f"{why}, and {limit_bytes:,} are allowed"
    if len(known) < len(left):
        which = next(it.timeline for it in left if it not in known)
        return CHECK, False, f"not known: Patroni's history does not say where timeline {which} was left"
    return None if worst is None else _compared(worst, switches, limit_bytes)


def _compared(worst: End, switches: Mapping[int, int], limit_bytes: int) -> tuple[str, bool, str]:
    """The check of the failover that left most behind."""
    lacks = _lacks(worst, switches)
    more = max(0, worst.position + worst.unseen_bytes - switches[worst.timeline]) - lacks
    said = f"what was promoted lacked {lacks:,} bytes of WAL, or up to {more:,} more"
    if lacks > limit_bytes:
        return CHECK, False, f"{said}: more than the {limit_bytes:,} that are allowed"
    if lacks + more > limit_bytes:
        return CHECK, False, f"not known: {said}, and {limit_bytes:,} are allowed"
    return CHECK, True, f"{said}; {limit_bytes:,} are allowed"


def _lacks(end: End, switches: Mapping[int, int]) -> int:
    return max(0, end.position - switches[end.timeline])
