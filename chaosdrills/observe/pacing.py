"""When operations are due: pure schedules, and the distribution of how late they were sent.

An *open loop* asks for operation k at `start + k / rate`, whatever the service does: a service that stalls cannot slow
the load down and so hide its outage (coordinated omission). A *closed loop* asks for as many operations as there is
room for; only benchmarks use it. Times are integer nanoseconds on the record's clock; nothing here reads a clock.
"""

from fractions import Fraction
from typing import Protocol

from chaosdrills.core.history import NS
from chaosdrills.errors import UsageError

CHUNK = 1200  # operations taken at once, so that acknowledgements are served between chunks


class Schedule(Protocol):
    """Which operations are due."""

    def take(self, now_ns: int, room: int) -> list[int]:
        """Intended times of up to `CHUNK` operations due at `now_ns`, each given once, in order.

        `room` is how many more may be in flight. A schedule that does not wait for room gives more than that.
        """

    def wait_s(self, now_ns: int) -> float:
        """Seconds until the next operation is due, 0 if it is."""


class OpenLoop:
    """`rate_per_s` operations a second from `start_ns` on, never skipped, never early.

    The intended time of operation k is `start_ns + floor(k * 1e9 / rate_per_s)`, computed exactly, so that no error
    adds up over a day.
    """

    def __init__(self, start_ns: int, rate_per_s: float) -> None:
        self._start_ns = start_ns
        interval = NS / Fraction(rate_per_s).limit_denominator(1_000_000)
        self._numerator, self._denominator = interval.numerator, interval.denominator
        self._taken = 0

    def intended_ns(self, k: int) -> int:
        """When operation `k` (from 0) is due."""
        return self._start_ns + k * self._numerator // self._denominator

    def due(self, now_ns: int) -> int:
        """How many operations were due by `now_ns` (included) since the start, taken or not."""
        elapsed_ns = now_ns - self._start_ns
        return 0 if elapsed_ns < 0 else -(-(elapsed_ns + 1) * self._denominator // self._numerator)

    def take(self, now_ns: int, room: int) -> list[int]:
        """The next operations that are due, whether or not there is `room`: the caller records what it cannot send."""
        first = self._taken
        self._taken = max(first, min(self.due(now_ns), first + CHUNK))
        return [self.intended_ns(k) for k in range(first, self._taken)]

    def wait_s(self, now_ns: int) -> float:
        """Seconds until the next operation is due, 0 if it is."""
        return max(0, self.intended_ns(self._taken) - now_ns) / NS


class ClosedLoop:
    """As many operations as there is room for, due the instant there is: full rate."""

    def __init__(self) -> None:
        self._full = False

    def take(self, now_ns: int, room: int) -> list[int]:
        """Up to `room` operations, due now."""
        self._full = room < CHUNK
        return [now_ns] * min(room, CHUNK)

    def wait_s(self, now_ns: int) -> float:
        """0 while there was room, else a moment in which acknowledgements make some."""
        return 0.002 if self._full else 0.0


def schedule(start_ns: int, rate_per_s: float | None) -> Schedule:
    """The schedule for `rate_per_s` operations a second; None or 0 is full rate.

    Raises `UsageError` for a rate that is not a number of operations a second.
    """
    if not rate_per_s:
        return ClosedLoop()
    if not 0.001 <= rate_per_s <= 1_000_000:
        raise UsageError(f"a rate of {rate_per_s:g} operations a second cannot be kept.", "use 0.001 to 1,000,000.")
    return OpenLoop(start_ns, rate_per_s)


class Lateness:
    """How late operations were sent after their intended time, as a histogram of constant size.

    Microseconds in buckets: exact below 64, above that 32 to each power of two, so a quantile is at most 3 % too high
    (the upper edge of its bucket) and never too low.
    """

    def __init__(self) -> None:
        self._buckets = [0] * (32 * 40)
        self.count = 0
        self.max_ns = 0

    def add(self, lateness_ns: int) -> None:
        """Count one operation; sent early (a clock set between two readings) counts as on time."""
        lateness_us = max(0, lateness_ns) // 1000
        shift = max(0, lateness_us.bit_length() - 6)
        self._buckets[min((shift << 5) + (lateness_us >> shift), len(self._buckets) - 1)] += 1
        self.count += 1
        self.max_ns = max(self.max_ns, lateness_ns)

    def quantile_ms(self, share: float) -> float | None:
        """The smallest lateness (ms) that `share` of the operations did not exceed; None without operations."""
        wanted, seen = share * self.count, 0
        for index, number in enumerate(self._buckets):
            seen += number
            if number and seen >= wanted:
                shift = max(0, (index >> 5) - 1)
                upper_us = ((index - (shift << 5) + 1) << shift) - 1
                return min(upper_us / 1000, self.max_ms or 0.0)
        return None

    @property
    def max_ms(self) -> float | None:
        """The largest lateness (ms); None without operations."""
        return self.max_ns / 1_000_000 if self.count else None

    def as_dict(self) -> dict[str, float | int | None]:
        """`operations`, and `p50_ms`, `p99_ms`, `max_ms` (None without operations)."""
        return {
            "operations": self.count,
            "p50_ms": self.quantile_ms(0.5),
            "p99_ms": self.quantile_ms(0.99),
            "max_ms": self.max_ms,
        }
