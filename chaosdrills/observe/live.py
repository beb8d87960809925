"""Recovery while it happens: the judge's own definition, on what the record holds so far."""

import time
from collections.abc import Callable
from pathlib import Path

from chaosdrills.core.history import to_s
from chaosdrills.core.parameters import Parameters
from chaosdrills.core.recovery import Recovery, recovery_of
from chaosdrills.observe.reading import read_record


def restored_after_s(recovery: Recovery) -> float | None:
    """Seconds from the last episode's begin until service was restored, as far as is seen now; None if it is not."""
    if not recovery.episodes or recovery.episodes[-1].restored_ns is None:
        return None
    last = recovery.episodes[-1]
    return to_s((last.restored_ns or 0) - last.begin_ns)


def wait_restored(
    record: Path, parameters: Parameters, timeout_s: float, alive: Callable[[], None], poll_s: float = 0.5
) -> float | None:
    """Wait until the service stays restored; returns its RTO so far in seconds, None after `timeout_s`.

    `alive` raises if the observer is gone. The pause between two looks grows with what a look costs.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        alive()
        begun = time.monotonic()
        took_s = restored_after_s(recovery_of(read_record(record), parameters))
        now = time.monotonic()
        if took_s is not None:
            return took_s
        if now >= deadline:
            return None
        time.sleep(min(max(poll_s, 5 * (now - begun)), max(0.0, deadline - now)))
