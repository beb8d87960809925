"""The drill that runs in this process: set by the observe control, read by probes and actions."""

from typing import TYPE_CHECKING

from chaosdrills.errors import UsageError

if TYPE_CHECKING:
    from chaosdrills.observe.drill import ObservedDrill

NO_CONTROL = "add the observe control to the experiment's controls."
DRY_RUN = "a dry run observes nothing: run without --dry, or check the experiment with '--dry activities'."

_drill: "ObservedDrill | None" = None
_hint = NO_CONTROL


def current() -> "ObservedDrill | None":
    """The running drill; None outside of one and in dry runs."""
    return _drill


def required(what: str) -> "ObservedDrill":
    """The running drill, for `what` needs one. Raises `UsageError` that says why there is none."""
    if _drill is None:
        raise UsageError(f"{what} needs a drill that is observed, and none is.", _hint)
    return _drill


def set_current(drill: "ObservedDrill | None", hint: str = NO_CONTROL) -> None:
    """Set or clear the running drill; `hint` is what to do about there being none."""
    global _drill, _hint
    _drill, _hint = drill, hint
