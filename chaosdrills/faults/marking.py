"""Marks of faults and heals in the drill's record.

This room does not know the observer. The observe control, in the same process, registers how to mark; without it (an
activity used on its own, a heal from the command line) nothing is marked. A marker returns when the mark is on disk.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chaosdrills.errors import UnavailableError
from chaosdrills.host.clock import boottime_ns

logger = logging.getLogger("chaostoolkit")

Marker = Callable[[str, str, int | None], None]
"""(name, label, instant on the record's clock in nanoseconds; None: now) -> on disk, or raises."""

_marker: Marker | None = None
_drill = ""


def set_marker(marker: Marker | None, drill: str = "") -> None:
    """Mark faults and heals of this process with `marker` from now on; None: not at all.

    `drill` is what the heal log and the lock call the run, so that a user recognises it.
    """
    global _marker, _drill
    _marker, _drill = marker, drill


def drill() -> str:
    """What the running drill is called; empty if none is."""
    return _drill


def refuse_faults(name: str, label: str, at_ns: int | None) -> None:
    """The marker of a drill that is over: heals are not marked any more, and nothing may be injected. A `Marker`."""
    if name == "fault_begin":
        raise UnavailableError("the drill is over; nothing was injected.", "run it again.")


def mark(name: str, label: str) -> None:
    """Put the mark `name` into the record, with this instant. Does nothing without a marker.

    Raises `UnavailableError` if it could not be marked, for whatever reason: there is no evidence then.
    """
    if _marker is None:
        return
    try:
        _marker(name, label, boottime_ns())
    except Exception as error:
        raise UnavailableError(
            f"the observer did not record the mark {name} ({label}): {error}",
            "look at the observer's log in the drill's journal folder.",
        ) from error


@contextmanager
def marked(what: str) -> Iterator[None]:
    """Mark as a fault what has no heal of ours: whoever does it sees to its end, or what is lost is lost.

    No `fault_end` is marked if it fails. Raises `UnavailableError` as `mark` does.
    """
    logger.info(f"About to begin the {what}")
    mark("fault_begin", what)
    yield
    mark("fault_end", what)
