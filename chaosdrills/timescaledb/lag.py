"""How much WAL a failover left behind, against the `maximum_lag_on_failover` that Patroni promises. Pure.

Of each timeline that was written the last position is known as it was seen from outside, and how far it may have come
unseen until its connection broke: the longest stretch that it went in such a time before. Where a timeline was left for
the next is in the cluster's history. What lies between was only on the old primary: it *lacks* in what was promoted.

Nobody knows how far a primary has come that fell silent and may have gone on, nor one that was seen only once before it
was gone, nor one of a timeline that nobody saw.

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
    """The last that was seen of a timeline: a position in bytes, and how many more may have come unseen (None: any)."""

    timeline: int
    position: int
    unseen_bytes: int | None


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
        """The primary was at `position` of `timeline`, at `at_s` or a little later."""
        if self._last is not None and self._last[0] == timeline and at_s > self._at_s:
            self._paces.append((at_s, (position - self._last[1]) / (at_s - self._at_s)))
            while self._paces[0][0] < at_s - LOOK_BACK_S:
                self._paces.popleft()
        self._at_s, self._last = at_s, (timeline, position)
        self.ends[timeline] = End(timeline, position, 0)

    def miss(self, at_s: float, silent: bool) -> None:
        """The primary was gone at `at_s`, or fell `silent`, for the first time since it was seen."""
        if self._last is None:
            return
        timeline, position = self._last
        pace_per_s = None if silent else max((pace for _, pace in self._paces), default=None)
        unseen_bytes = None if pace_per_s is None else round(pace_per_s * (at_s - self._at_s))
        self.ends[timeline] = End(timeline, position, unseen_bytes)
        self._last = None
        self._paces.clear()


def judged(
    ends: Sequence[End], switches: Mapping[int, int], behind_bytes: int, limit_bytes: int
) -> tuple[str, bool, str] | None:
    """The check of all failovers that were seen, or missing; None if there was none.

    `ends` are those of the timelines that were seen, `switches` the positions at which timelines were left.
    `behind_bytes` is how far the best standby was behind when it should have led already: 0 if that never was.
    """
    seen = {it.timeline: it for it in ends}
    left = [it for it in sorted({*seen, *switches}) if min(seen, default=it) <= it < max(seen, default=it)]
    known = [seen[it] for it in left if it in seen and it in switches]
    lacks = max((_lacks(it, switches) for it in known), default=0)
    if behind_bytes > limit_bytes >= lacks:  # else it was promoted all the same
        why = f"Patroni promoted nobody: every standby lacked {behind_bytes:,} bytes of WAL or more"
        return CHECK, False, f"{why}, and {limit_bytes:,} are allowed"
    if lacks > limit_bytes:
        worst = max(known, key=lambda it: _lacks(it, switches))
        return CHECK, False, f"{_said(worst, switches)}: more than the {limit_bytes:,} that are allowed"
    why = _not_known(seen, left, switches)
    if why:
        return CHECK, False, f"not known: {why}"
    return _compared(max(known, key=lambda it: _most(it, switches)), switches, limit_bytes) if known else None


def _not_known(seen: Mapping[int, End], left: Sequence[int], switches: Mapping[int, int]) -> str:
    """Why it cannot be told what lacked; empty if it can."""
    if not seen:
        return "the primary's WAL was never seen"
    for timeline in left:
        if timeline not in switches:
            return f"Patroni's history does not say where timeline {timeline} was left"
        if timeline not in seen:
            return f"nobody saw how far timeline {timeline} came"
        if seen[timeline].unseen_bytes is None:
            return f"{_said(seen[timeline], switches)}, for nobody saw how far timeline {timeline} came"
    return ""


def _compared(worst: End, switches: Mapping[int, int], limit_bytes: int) -> tuple[str, bool, str]:
    """The check of the failover that may have left most behind."""
    said = _said(worst, switches)
    if _most(worst, switches) > limit_bytes:
        return CHECK, False, f"not known: {said}, and {limit_bytes:,} are allowed"
    return CHECK, True, f"{said}; {limit_bytes:,} are allowed"


def _said(end: End, switches: Mapping[int, int]) -> str:
    lacks = _lacks(end, switches)
    more = "any number of them" if end.unseen_bytes is None else f"up to {_most(end, switches) - lacks:,}"
    return f"what was promoted lacked {lacks:,} bytes of WAL, or {more} more"


def _lacks(end: End, switches: Mapping[int, int]) -> int:
    return max(0, end.position - switches[end.timeline])


def _most(end: End, switches: Mapping[int, int]) -> int:
    """What lacks at the most, where that is known."""
    return max(0, end.position + (end.unseen_bytes or 0) - switches[end.timeline])
