"""What looks at the servers of a cluster, one after another, prove of their histories. Pure: nobody is asked here.

A server *leads* that is out of recovery. It *takes writes* if it leads, is not read-only, and its commits do not wait
for standbys none of which streams. A *reign* is what looks at one server prove that they find leading, or taking
writes, all on one timeline and since one start of it: it lasts at least from the end of the first look to the begin of
the last. So a server that was seen once, or that nobody reaches, proves none.

Two that take writes at once are two primaries. So are two that lead at once for `LINGER_S`: a stale primary that can
acknowledge nothing makes no second history, and is given so long to step back.

A server that leads again on a lower timeline, or on the same one at a position (of what is safely on disk) below an
earlier one, was put back to an older copy of itself, and so was a cluster that is led on a lower timeline than before.
A server's clock has jumped if it and ours, which never does, have come apart by more than `JUMP_S` between two looks.
"""

from collections import deque
from dataclasses import dataclass

from chaosdrills.core.history import NS, to_ns, to_s

JUMP_S = 1.0
LINGER_S = 10.0
MOST_REIGNS = 50

Check = tuple[str, bool, str]


@dataclass(frozen=True)
class Sighting:
    """What one look at a server has found, between `begun_ns` and `seen_ns`, in nanoseconds of CLOCK_BOOTTIME.

    `server` is its address in the DSN, `place` what it says itself, `started` when it was started. `timeline` (0:
    unknown) and `position` are those of one that leads. `clock_s` is its clock.
    """

    server: str
    place: str
    started: str
    begun_ns: int
    seen_ns: int
    leads: bool
    takes_writes: bool
    timeline: int
    position: int
    clock_s: float

    @property
    def itself(self) -> tuple[str, str]:
        """What tells this server, since this start, from others; two addresses may lead to it."""
        return self.place, self.started


@dataclass
class Reign:
    """See above; certain from `since_ns` to `until_ns`, if there is anything between. `writes`: it takes writes."""

    first: Sighting
    writes: bool
    until_ns: int

    @property
    def since_ns(self) -> int:
        """The end of the first look."""
        return self.first.seen_ns

    @property
    def certain(self) -> bool:
        """Whether it was seen twice."""
        return self.until_ns > self.since_ns

    def shared_ns(self, other: "Reign") -> tuple[int, int] | None:
        """From when to when there were two at once; None if that is not certain, or is to be borne."""
        if self.first.itself == other.first.itself or self.writes != other.writes:
            return None
        since_ns, until_ns = max(self.since_ns, other.since_ns), min(self.until_ns, other.until_ns)
        borne_ns = 0 if self.writes else to_ns(LINGER_S)
        return (since_ns, until_ns) if until_ns - since_ns > borne_ns else None

    def __str__(self) -> str:
        return f"{self.first.server} (timeline {self.first.timeline})"


class Witness:
    """Takes sightings in turn. `looks` counts them."""

    def __init__(self, origin_ns: int) -> None:
        self.looks = 0
        self._origin_ns = origin_ns
        self._last: dict[tuple[str, str], Sighting] = {}
        self._led: dict[tuple[str, str], Sighting] = {}
        self._reigns: deque[Reign] = deque(maxlen=MOST_REIGNS)
        self._pair: tuple[Reign, Reign] | None = None  # kept, however many reigns follow
        self._now: dict[tuple[str, bool], Reign] = {}
        self._back: dict[str, str] = {}

    def see(self, seen: Sighting) -> None:
        """A server has answered."""
        self.looks += 1
        who = (seen.server, seen.place)
        self._compare_clocks(self._last.get(who), seen)
        self._last[who] = seen
        if seen.leads:
            self._compare_histories(self._led.get(who), seen)
            self._led[who] = seen
        self._note_reign(seen, True, seen.takes_writes)
        self._note_reign(seen, False, seen.leads)

    def miss(self, server: str) -> None:
        """A server has not answered: what it did meanwhile nobody can tell."""
        for writes in (True, False):
            self._now.pop((server, writes), None)

    def checks(self) -> list[Check]:
        """What is not as it should be, and what was looked at if nothing is."""
        found = [] if self._pair is None else [("one primary at a time", False, self._shared(*self._pair))]
        found += [(name, False, text) for name, text in self._back.items()]
        if found or not self.looks:
            return found
        servers = len({server for server, _ in self._last})
        return [("one primary at a time", True, f"{servers} servers were looked at {self.looks} times")]

    def _note_reign(self, seen: Sighting, writes: bool, reigns: bool) -> None:
        if not reigns:
            self._now.pop((seen.server, writes), None)
            return
        reign = self._now.get((seen.server, writes))
        if reign is None or (reign.first.itself, reign.first.timeline) != (seen.itself, seen.timeline):
            reign = self._now[seen.server, writes] = Reign(seen, writes, seen.begun_ns)
            self._reigns.append(reign)
        reign.until_ns = max(reign.until_ns, seen.begun_ns)
        self._look_for_another(reign)
        if writes:
            self._compare_reigns(reign)

    def _look_for_another(self, reign: Reign) -> None:
        """Keep the first two primaries at once; two that took writes go before two that only led."""
        if self._pair is not None and self._pair[0].writes >= reign.writes:
            return
        for other in (*self._reigns, *self._now.values()):  # one that lasts may be older than all those that are kept
            if other.shared_ns(reign) is not None:
                self._pair = (other, reign) if other.since_ns <= reign.since_ns else (reign, other)
                return

    def _compare_reigns(self, reign: Reign) -> None:
        """A cluster that is led on a lower timeline than one on which it was led before."""
        before = [one for one in self._reigns if one.writes and one.certain and one.until_ns <= reign.since_ns]
        newest = max(before, key=lambda one: one.first.timeline, default=None)
        if reign.certain and newest is not None and 0 < reign.first.timeline < newest.first.timeline:
            self._note(
                "timelines go on",
                f"{reign} took writes at {self._at(reign.since_ns)}, after {newest}: its history is an older one",
            )

    def _compare_histories(self, before: Sighting | None, seen: Sighting) -> None:
        if before is None or seen.begun_ns < before.seen_ns or not before.timeline or not seen.timeline:
            return
        at = self._at(seen.seen_ns)
        if seen.timeline < before.timeline:
            self._note(
                "timelines go on",
                f"{seen.server} went back from timeline {before.timeline} to {seen.timeline} before {at}: it was put "
                "back to an older copy, or is another server",
            )
        elif seen.timeline == before.timeline and seen.position < before.position:
            self._note(
                "positions go on",
                f"{seen.server} went back from {_lsn(before.position)} to {_lsn(seen.position)} on timeline "
                f"{seen.timeline} before {at}: it was put back to an older copy, or has lost what it had confirmed",
            )

    def _compare_clocks(self, before: Sighting | None, seen: Sighting) -> None:
        if before is None or seen.begun_ns < before.seen_ns:
            return
        jump_s, sure_s = _offset_s(seen) - _offset_s(before), _unsure_s(seen) + _unsure_s(before)
        if abs(jump_s) > JUMP_S + sure_s:
            way = "back" if jump_s < 0 else "forward"
            self._note(
                "clocks go on",
                f"the clock of {seen.server} jumped {way} by {abs(jump_s):.1f} s before {self._at(seen.seen_ns)}",
            )

    def _shared(self, earlier: Reign, later: Reign) -> str:
        """What is said of two primaries at once."""
        since, until = map(self._at, earlier.shared_ns(later) or (0, 0))
        did = "took writes" if later.writes else "led"
        return f"two primaries: {earlier} and {later} both {did} from {since} to {until}"

    def _note(self, name: str, text: str) -> None:
        """Keep the first of each kind."""
        self._back.setdefault(name, text)

    def _at(self, at_ns: int) -> str:
        return f"{to_s(at_ns - self._origin_ns):.1f} s"


def _offset_s(seen: Sighting) -> float:
    return seen.clock_s - (seen.begun_ns + seen.seen_ns) / 2 / NS


def _unsure_s(seen: Sighting) -> float:
    return (seen.seen_ns - seen.begun_ns) / 2 / NS


def _lsn(position: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
