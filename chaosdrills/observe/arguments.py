"""The arguments of the observe control, checked before anything is started. Nothing here imports chaoslib."""

import importlib
from typing import Any

from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UsageError

TIMEOUTS = ("start_timeout_s", "baseline_timeout_s", "settle_timeout_s", "drain_timeout_s", "readback_timeout_s")


def faults_of(experiment: dict[str, Any], named: list[str] | None) -> frozenset[str]:
    """The names of the method's faults. Raises `UsageError` for a name that is no action, and for pauses before one."""
    actions = {one.get("name"): one for one in experiment.get("method", []) if one.get("type") == "action"}
    names = named if named is not None else list(actions)[:1]
    for name in names:
        if name not in actions:
            raise UsageError(
                f"the observe control's fault {name!r} is no action of the method.", "name one of its actions."
            )
        if actions[name].get("pauses", {}).get("before"):
            raise UsageError(
                f"the fault {name!r} has a pause before it, which would count as recovery time.",
                "put the pause after the action before it.",
            )
    return frozenset(names)


def heals_of(experiment: dict[str, Any], named: list[str] | None) -> frozenset[str]:
    """The names of heals. Raises `UsageError` for a name that is no action of the method or the rollbacks."""
    activities = [*experiment.get("method", []), *experiment.get("rollbacks", [])]
    actions = {one.get("name") for one in activities if one.get("type") == "action"}
    for name in named or ():
        if name not in actions:
            raise UsageError(f"the observe control's heal {name!r} is no action.", "name one of the experiment's.")
    return frozenset(named or ())


def import_workload(path: str) -> None:
    """Import the workload's module: its driver may be missing. Raises `DrillError`."""
    module, _, name = path.partition(":")
    try:
        getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"there is no workload {path!r}: {error}.", "name it in the argument 'workload', as 'module:Class'."
        ) from error


def secret_arguments(service: str, secrets: dict[str, Any] | None) -> dict[str, Any]:
    """The service's group of the experiment's secrets, as the workload's argument `secrets`."""
    group = (secrets or {}).get(service)
    return {"secrets": dict(group)} if group else {}


def parameters_of(given: dict[str, Any] | None) -> Parameters:
    """The parameters of measuring. Raises `UsageError` for a name or a value that they do not take."""
    try:
        return Parameters(**(given or {}))
    except TypeError as error:
        raise UsageError(
            f"the observe control's parameters are {given!r}: {error}.", "see docs/measuring.md for their names."
        ) from error


def rate_of(given: Any) -> float:
    """Operations a second. Raises `UsageError` for what is no number above 0."""
    try:
        rate_per_s = float(given)
    except (TypeError, ValueError):
        rate_per_s = -1.0
    if not 0 < rate_per_s <= 1e6:
        raise UsageError(f"the observe control's rate_per_s is {given!r}.", "give operations a second, above 0.")
    return rate_per_s


def timeouts_of(given: dict[str, float]) -> dict[str, float]:
    """Timeouts in seconds, by the names in `TIMEOUTS`. Raises `UsageError` for other names and for no numbers."""
    for name in given:
        if name not in TIMEOUTS:
            raise UsageError(f"the observe control has no argument {name!r}.", f"timeouts are {', '.join(TIMEOUTS)}.")
    try:
        timeouts = {name: float(value) for name, value in given.items()}
    except (TypeError, ValueError) as error:
        raise UsageError(f"a timeout of the observe control is no number: {error}.", "give seconds.") from error
    for name, value in timeouts.items():
        if not 0 <= value < 1e6:
            raise UsageError(f"the observe control's {name} is {value}.", "give seconds, from 0 up.")
    return timeouts
