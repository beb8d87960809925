"""The drill that runs in this process: set by the observe control, read by probes and actions."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaosdrills.observe.drill import ObservedDrill

_drill: "ObservedDrill | None" = None


def current() -> "ObservedDrill | None":
    """The running drill; None outside of one and in dry runs."""
    return _drill


def set_current(drill: "ObservedDrill | None") -> None:
    """Set or clear the running drill."""
    global _drill
    _drill = drill
