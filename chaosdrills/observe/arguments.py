"""The arguments of the observe control, checked before anything is started. Nothing here imports chaoslib."""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from chaosdrills.core.judge import Limits
from chaosdrills.core.kinds import in_words, is_of
from chaosdrills.core.parameters import Parameters
from chaosdrills.errors import UsageError
from chaosdrills.observe.endpoints import endpoints_of, is_unaddressed, require_often, unaddressed
from chaosdrills.observe.watches import watches_of, with_secrets

TIMEOUTS = ("start_timeout_s", "baseline_timeout_s", "settle_timeout_s", "drain_timeout_s", "readback_timeout_s")
ANYWHERE = "http://unknown"  # stands for a URL that nobody has set, while the rest is checked
OWN_CHECKS = (
    "rate_per_s",
    "polls",
    "watches",
    *TIMEOUTS,
)  # numbers, and texts that are numbers; what may hold a secret


def arguments_of(control: Mapping[str, Any], named: Iterable[str]) -> dict[str, Any]:
    """The arguments of the control; `named` are those it takes besides its timeouts. Raises `UsageError` for others."""
    arguments = (control.get("provider") or {}).get("arguments") or {}
    if not isinstance(arguments, dict):
        raise UsageError("the observe control's arguments are no object.", 'write {"name": value}.')
    known = sorted({*named, *TIMEOUTS})
    for name in arguments:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(known)}."
            raise UsageError(f"the observe control has no argument {name!r}.", hint)
    if not arguments.get("service"):
        raise UsageError("the observe control needs the argument 'service'.", 'write, for example, "service": "kafka".')
    return arguments


def require_kinds(given: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Raise `UsageError` for an argument that is not of the type that `hints` say."""
    for name, value in given.items():
        if name in hints and name not in OWN_CHECKS and not is_of(value, hints[name]):
            raise UsageError(f"the observe control's {name} is {value!r}.", f"give {in_words(hints[name])}.")


def faults_of(experiment: dict[str, Any], named: list[str] | None) -> frozenset[str]:
    """The names of the method's faults. Raises `UsageError` for a name that is no action, and for pauses before one."""
    actions = _actions(experiment.get("method", []))
    names = named if named is not None else list(actions)[:1]
    for name in names:
        if name not in actions:
            raise UsageError(
                f"the observe control's fault {name!r} is no action of the method.", "name one of its actions."
            )
        if any((one.get("pauses") or {}).get("before") for one in actions[name]):
            raise UsageError(
                f"the fault {name!r} has a pause before it, which would count as recovery time.",
                "put the pause after the action before it.",
            )
    return frozenset(names)


def heals_of(experiment: dict[str, Any], named: list[str] | None) -> frozenset[str]:
    """The names of heals. Raises `UsageError` for a name that is no action of the method or the rollbacks."""
    actions = _actions([*experiment.get("method", []), *experiment.get("rollbacks", [])])
    for name in named or ():
        if name not in actions:
            raise UsageError(f"the observe control's heal {name!r} is no action.", "name one of the experiment's.")
    return frozenset(named or ())


def unnamed_of(experiment: dict[str, Any], faults: frozenset[str], heals: list[str] | None) -> list[str]:
    """Actions of other extensions after one of their faults of which nobody has said whether they heal it.

    None where `heals` are given, be it an empty list.
    """
    foreign = [
        one
        for one in experiment.get("method", [])
        if one.get("type") == "action"
        and not str((one.get("provider") or {}).get("module", "")).startswith("chaosdrills.")
    ]
    first = next((at for at, one in enumerate(foreign) if one.get("name") in faults), len(foreign))
    return [] if heals is not None else [one["name"] for one in foreign[first:] if one["name"] not in faults]


def _actions(activities: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Those of `activities` that are actions, by name. Raises `UsageError` for a name that is no text."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in (one for one in activities if one.get("type") == "action"):
        if not isinstance(one.get("name"), str):
            raise UsageError(f"an action is named {one.get('name')!r}.", "give it a text as its name.")
        found.setdefault(one["name"], []).append(one)
    return found


def check_workload(path: str, arguments: Any) -> None:
    """Import the workload, whose driver may be missing, and have it look at its arguments if it can.

    Values with ``${...}`` in them are known only in a run. Raises `DrillError`.
    """
    check = getattr(_imported(path), "check", None)
    if check is not None and isinstance(arguments or {}, Mapping):
        check(arguments or {})


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
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
        found = Parameters(**(given or {}))
    except TypeError as error:
        raise UsageError(
            f"the observe control's parameters are {given!r}: {error}.", "see docs/measuring.md for their names."
        ) from error
    if found.baseline_s < found.stable_s:
        raise UsageError(
            f"baseline_s is {found.baseline_s:g} and stable_s {found.stable_s:g}: there could be no baseline.",
            "give a baseline_s that is not shorter.",
        )
    if found.recovered_ratio > 1:
        raise UsageError(f"recovered_ratio is {found.recovered_ratio:g}.", "give a share: at most 1, for example 0.9.")
    return found


def polls_of(given: Any, limits: Limits, parameters: Parameters) -> tuple[list[dict[str, Any]], Limits]:
    """What is polled of the argument `polls`, and `limits` without that of what is not, where nothing of it is.

    Raises `UsageError` for what cannot be polled, or not judged as it is to be.
    """
    absent = unaddressed(given)
    checked = [{**one, "url": ANYWHERE} if is_unaddressed(one) else one for one in given] if absent else given
    require_often(endpoints_of(checked), parameters)
    if limits.max_unavailable_s is not None and not given:
        raise UsageError(
            "the hypothesis bounds unavailable_judged_s, which cannot be known: no endpoint is polled.",
            "give the observe control the argument 'polls', or take that tolerance out.",
        )
    polled = [one for one in given or () if not is_unaddressed(one)]
    return polled, limits if polled else replace(limits, max_unavailable_s=None)


def watched_of(given: Any, secrets: Mapping[str, Any], limits: Limits) -> list[dict[str, Any]]:
    """What is watched of the argument `watches`, with `secrets` for its sources.

    Raises `UsageError` for what cannot be watched, or not judged as it is to be.
    """
    watches_of(given)
    if not given and (limits.max_attempts is not None or limits.max_attempts_per_min is not None):
        raise UsageError(
            "the hypothesis bounds restart attempts, which cannot be known: no count is watched.",
            "give the observe control the argument 'watches', or take that tolerance out.",
        )
    return with_secrets(given, secrets)


def rate_of(given: Any) -> float:
    """Operations a second. Raises `UsageError` for what is no number above 0."""
    try:
        rate_per_s = float(given)
    except (TypeError, ValueError, OverflowError):
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
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"a timeout of the observe control is no number: {error}.", "give seconds.") from error
    for name, value in timeouts.items():
        if not 0 <= value < 1e6:
            raise UsageError(f"the observe control's {name} is {value}.", "give seconds, from 0 up.")
    return timeouts
