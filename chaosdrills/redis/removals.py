"""What but a failover has removed keys while a drill ran, by the counters of all servers. Pure.

A counter begins at what it was when its server was first seen; that of a server that was started again (another
`run_id`), or was told to forget what it counted (CONFIG RESETSTAT), begins at 0: all that it counts has happened since.
"""

from chaosdrills.redis.info import Info

Check = tuple[str, bool, str]
EVICTED, EXPIRED, FLUSHED = COUNTED = ("evicted", "expired", "flushed")
NOT_FLUSHED, NOT_EVICTED = "nothing was flushed", "nothing was evicted"
FINE = "by the counters of all servers"


class Removals:
    """Takes looks at servers, called by their addresses.

    `two_primaries_s`: the longest that several servers in turn said that they lead.
    """

    def __init__(self) -> None:
        self.two_primaries_s = 0.0
        self._last: dict[str, Info] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._leading: set[str] = set()
        self._two_since_s: float | None = None
        self._may_evict = False

    def see(self, address: str, now: Info, at_s: float) -> None:
        """A server was found like this."""
        before, counts = self._last.get(address), self._counts.setdefault(address, dict.fromkeys(COUNTED, 0))
        if before is not None:
            for name in COUNTED:
                since, is_now = getattr(before, name), getattr(now, name)
                counts[name] += is_now - since if before.run_id == now.run_id and is_now >= since else is_now
        self._last[address] = now
        self._may_evict |= now.may_evict
        self._see_leader(address, now.leads and not now.loading, at_s)

    def miss(self, address: str, at_s: float) -> None:
        """A server did not answer."""
        self._see_leader(address, False, at_s)

    def where(self, name: str) -> list[str]:
        """The servers that counted any of one of `COUNTED`; replicas count what they are told, too."""
        return sorted(address for address, counts in self._counts.items() if counts[name])

    def count(self, name: str) -> int:
        """The most of one of `COUNTED` that any server counted."""
        return max((counts[name] for counts in self._counts.values()), default=0)

    @property
    def evicts(self) -> bool:
        """Whether keys that do not expire, such as a drill's, may have been evicted."""
        return self._may_evict and self.count(EVICTED) > 0

    def checks(self) -> list[Check]:
        """What a reader of the result must know: keys that a failover did not take."""
        flushed, evicted = ", ".join(self.where(FLUSHED)), ", ".join(self.where(EVICTED))
        return [
            (NOT_FLUSHED, not flushed, f"FLUSHALL or FLUSHDB ran on {flushed}" if flushed else FINE),
            (
                NOT_EVICTED,
                not self.evicts,
                f"{self.count(EVICTED):,} keys were evicted on {evicted}" if self.evicts else FINE,
            ),
        ]

    def _see_leader(self, address: str, leads: bool, at_s: float) -> None:
        self._leading = self._leading | {address} if leads else self._leading - {address}
        if len(self._leading) < 2:
            self._two_since_s = None
            return
        self._two_since_s = at_s if self._two_since_s is None else self._two_since_s
        self.two_primaries_s = max(self.two_primaries_s, at_s - self._two_since_s)
