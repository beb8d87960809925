"""The record's clock: monotonic, the same for all processes of this machine, and running through suspend."""

import time


def boottime_ns() -> int:
    """Nanoseconds since boot (CLOCK_BOOTTIME)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
